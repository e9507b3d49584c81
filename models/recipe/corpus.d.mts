import type { Conversation } from "../../lab/tasks/conversation.ts";

export const chatTemplate: string;
export function piecesOf(conversation: Conversation): string[];
export function corpus(seed: number, count: number, split: "training" | "held-out"): Generator<string>;
