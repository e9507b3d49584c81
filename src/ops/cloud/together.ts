import type { CloudObserver } from "../../cloud/core/observer.ts";

/** Several observers as one. */
export function observedByAll(observers: readonly CloudObserver[]): CloudObserver {
  return {
    connected: (connection) => {
      for (const one of observers) one.connected?.(connection);
    },
    disconnected: (connection) => {
      for (const one of observers) one.disconnected?.(connection);
    },
    refused: (code) => {
      for (const one of observers) one.refused?.(code);
    },
    received: (connection, frame, bytes) => {
      for (const one of observers) one.received?.(connection, frame, bytes);
    },
    sent: (connection, frame, bytes) => {
      for (const one of observers) one.sent?.(connection, frame, bytes);
    },
    opened: (session) => {
      for (const one of observers) one.opened?.(session);
    },
    ended: (session) => {
      for (const one of observers) one.ended?.(session);
    },
    passEnded: (pass) => {
      for (const one of observers) one.passEnded?.(pass);
    },
    judged: (session, accepted) => {
      for (const one of observers) one.judged?.(session, accepted);
    },
  };
}
