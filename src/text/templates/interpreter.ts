import { Environment, Interpreter, parse, tokenize } from "@huggingface/jinja";
import { copyOf, DICT_METHODS, keyOf, LIST_METHODS } from "./collections.ts";
import { order, same } from "./compare.ts";
import { dateText } from "./dates.ts";
import { FILTERS } from "./filters.ts";
import { printed } from "./print.ts";
import { contains, TESTS } from "./tests.ts";
import { TEXT_METHODS } from "./texts.ts";
import type { Twins } from "./twins.ts";
import {
  argumentsOf,
  call,
  dict,
  integer,
  isDict,
  isInteger,
  isList,
  isNone,
  isNumber,
  isText,
  isUndefined,
  itemsOf,
  list,
  NONE,
  type Scope,
  TwinKeys,
  text,
  truth,
  UNDEFINED,
  type Value,
} from "./values.ts";

/**
 * Jinja as Python's jinja2 has it, over the parser and the interpreter of @huggingface/jinja: what that lacks, or does
 * in another way, is here and in the files beside, and nowhere else. A variable that is not there is empty, also where
 * jinja2 would refuse; so is a list of nothing.
 */

/** A node of the parser's tree. Those of kind Constant are ours: a value that is known already. */
export interface Node {
  readonly type: string;
  readonly [part: string]: unknown;
}

export interface Program extends Node {
  readonly body: readonly Node[];
}

/** @throws Error for what is no template */
export function parseTemplate(source: string): Program {
  return parse(tokenize(source, { lstrip_blocks: true, trim_blocks: true })) as unknown as Program;
}

/** What of the package's interpreter is overridden, or called; it declares some of it private. */
interface Base {
  evaluate(node: Node | undefined, scope: Scope): Value;
  evaluateArguments(args: readonly Node[], scope: Scope): [Value[], Map<string, Value>];
}

const BaseInterpreter = Interpreter as unknown as new (environment: Scope) => Base;
const newScope = (parent?: Scope): Scope =>
  new Environment(parent as Environment | undefined) as unknown as Scope;

/** What `break` and `continue` leave a loop with, and what was written until then. */
interface Jump extends Error {
  written?: string;
}

const constant = (value: Value): Node => ({ type: "Constant", value });

export class ChatInterpreter extends BaseInterpreter {
  private readonly twins: Twins;
  private readonly root: Scope;

  constructor(variables: ReadonlyMap<string, Value>, twins: Twins) {
    const root = newScope();
    super(root);
    this.root = root;
    this.twins = twins;
    for (const [name, value] of Object.entries(globals(twins))) root.setVariable(name, value);
    for (const [name, value] of variables) root.setVariable(name, value);
  }

  /** @returns with twins, where there are any */
  write(program: Program): string {
    return this.written(program.body, this.root);
  }

  override evaluate(node: Node | undefined, scope: Scope): Value {
    if (node === undefined) return UNDEFINED;
    switch (node.type) {
      case "Constant":
        return node.value as Value;
      case "For":
        return text(this.loop(node, scope));
      case "BinaryExpression":
        return this.binary(node, scope);
      case "FilterExpression":
        return this.filtered(this.evaluate(node.operand as Node, scope), node.filter as Node, scope);
      case "FilterStatement":
        return this.filtered(text(this.written(node.body as Node[], scope)), node.filter as Node, scope);
      case "TestExpression":
        return this.tested(node, scope);
      case "MemberExpression":
        return this.member(node, scope, false);
      case "CallExpression":
        return this.called(node, scope);
      case "TupleLiteral":
        return list((node.value as Node[]).map((item) => this.evaluate(item, scope)));
      case "ObjectLiteral":
        return this.dictionary(node, scope);
      default:
        return super.evaluate(node, scope);
    }
  }

  /** The package's own statements write their bodies by this. */
  evaluateBlock(nodes: readonly Node[], scope: Scope): Value {
    return text(this.written(nodes, scope));
  }

  private written(nodes: readonly Node[], scope: Scope): string {
    let out = "";
    for (const node of nodes) {
      try {
        const value = this.evaluate(node, scope);
        // Statements return None; an expression that is None is written as Python does.
        const isSilent =
          isNone(value) && (node.type === "Set" || node.type === "Macro" || node.type === "Comment");
        if (!isSilent) out += printed(value);
      } catch (error) {
        if (isJump(error)) error.written = out + (error.written ?? "");
        throw error;
      }
    }
    return out;
  }

  private loop(node: Node, scope: Scope): string {
    const { iterable, loopvar, body, defaultBlock } = node as unknown as Record<string, Node> & {
      body: Node[];
      defaultBlock: Node[];
    };
    const select = iterable!.type === "SelectExpression" ? iterable! : null;
    const over = this.evaluate((select ? select.lhs : iterable) as Node, scope);
    const all = itemsOf(over);
    if (all === null) throw new Error(`a loop cannot go over ${over.type}`);
    const items = all.filter((item) => {
      if (select === null) return true;
      const inner = newScope(scope);
      bind(loopvar!, item, inner);
      return this.evaluate(select.test as Node, inner).__bool__().value;
    });
    if (items.length === 0) return this.written(defaultBlock, newScope(scope));
    let out = "";
    for (const [i, item] of items.entries()) {
      const inner = newScope(scope);
      bind(loopvar!, item, inner);
      inner.setVariable("loop", loopValue(items, i, this.twins));
      try {
        out += this.written(body, inner);
      } catch (error) {
        if (!isJump(error)) throw error;
        out += error.written ?? "";
        if (jumpOf(error) === "break") break;
      }
    }
    return out;
  }

  private binary(node: Node, scope: Scope): Value {
    const operator = (node.operator as { value: string }).value;
    const left = this.evaluate(node.left as Node, scope);
    if (operator === "and") return left.__bool__().value ? this.evaluate(node.right as Node, scope) : left;
    if (operator === "or") return left.__bool__().value ? left : this.evaluate(node.right as Node, scope);
    const right = this.evaluate(node.right as Node, scope);
    const { twins } = this;
    switch (operator) {
      case "==":
        return truth(same(left, right, twins));
      case "!=":
        return truth(!same(left, right, twins));
      case "in":
        return truth(contains(right, left, twins));
      case "not in":
        return truth(!contains(right, left, twins));
      case "~":
        return text(printed(left) + printed(right));
    }
    const special = this.arithmetic(operator, left, right);
    if (special !== null) return special;
    return super.evaluate({ ...node, left: constant(left), right: constant(right) }, scope);
  }

  /** Of texts and lists; null: numbers, which the package knows. */
  private arithmetic(operator: string, left: Value, right: Value): Value | null {
    if (["<", ">", "<=", ">="].includes(operator)) {
      const first = order(left, right, this.twins);
      const holds = { "<": first < 0, ">": first > 0, "<=": first <= 0, ">=": first >= 0 };
      return truth(holds[operator as keyof typeof holds]);
    }
    if (operator === "+") {
      if (isList(left) && isList(right)) return list([...left.value, ...right.value]);
      // jinja2 takes texts alone; what is not there adds nothing.
      const isTexty = (value: Value) => isText(value) || isUndefined(value);
      if (isTexty(left) && isTexty(right)) return text(printed(left) + printed(right));
    }
    if (operator === "*" && isText(left) && isInteger(right))
      return text(left.value.repeat(Math.max(0, right.value)));
    if (operator === "%" && isText(left)) return text(this.percent(left.value, right));
    return null;
  }

  private percent(format: string, value: Value): string {
    const values = isList(value) ? [...value.value] : [value];
    return format.replace(/%([sdr%])/g, (_, kind: string) => {
      if (kind === "%") return "%";
      const next = values.shift() ?? UNDEFINED;
      return printed(next);
    });
  }

  private filtered(value: Value, filter: Node, scope: Scope): Value {
    const isCall = filter.type === "CallExpression";
    const name = ((isCall ? filter.callee : filter) as Node).value as string;
    const [positional, named] = isCall
      ? this.evaluateArguments(filter.args as Node[], scope)
      : [[], new Map<string, Value>()];
    return this.applied(name, value, positional, named);
  }

  private applied(
    name: string,
    value: Value,
    positional: readonly Value[],
    named: ReadonlyMap<string | number, Value>,
  ): Value {
    const filter = Object.hasOwn(FILTERS, name) ? FILTERS[name] : undefined;
    if (filter === undefined) throw new Error(`there is no filter ${name}`);
    return filter(value, {
      ...{ positional, named, twins: this.twins },
      filter: (other, item, args) => this.applied(other, item, args, new Map()),
      test: (other, item, args) => this.passes(other, item, args),
    });
  }

  private passes(name: string, value: Value, args: readonly Value[]): boolean {
    const test = Object.hasOwn(TESTS, name) ? TESTS[name] : undefined;
    if (test === undefined) throw new Error(`there is no test ${name}`);
    return test(value, args, this.twins);
  }

  private tested(node: Node, scope: Scope): Value {
    const value = this.evaluate(node.operand as Node, scope);
    const name = (node.test as Node).value as string;
    return truth(this.passes(name, value, []) !== node.negate);
  }

  /** @param isCallee `x.items()` is the method, also where there is a key of that name */
  private member(node: Node, scope: Scope, isCallee: boolean): Value {
    const object = this.evaluate(node.object as Node, scope);
    const property = node.property as Node;
    if (property.type === "SliceExpression") return this.sliced(object, node, scope);
    const isName = !node.computed && property.type === "Identifier";
    const key = isName ? text(property.value as string) : this.evaluate(property, scope);
    const name = isText(key) ? this.twins.plain(key.value) : null;
    const method = name === null || node.computed ? null : this.method(object, name);
    if (isCallee && method !== null) return method;
    if (isDict(object) || object.type === "NamespaceValue") {
      if (!isText(key) && !isNumber(key)) return UNDEFINED;
      return (object.value as Map<string | number, Value>).get(keyOf(key)) ?? method ?? UNDEFINED;
    }
    if (isInteger(key)) {
      if (isList(object)) return object.value.at(key.value) ?? UNDEFINED;
      const character = isText(object) ? [...object.value].at(key.value) : undefined;
      return character === undefined ? UNDEFINED : text(character);
    }
    return method ?? UNDEFINED;
  }

  private sliced(object: Value, node: Node, scope: Scope): Value {
    if (isUndefined(object) || isNone(object)) return list([]);
    return super.evaluate({ ...node, object: constant(object) }, scope);
  }

  private method(object: Value, name: string): Value | null {
    const { twins } = this;
    if (isText(object) && Object.hasOwn(TEXT_METHODS, name))
      return call((args) => TEXT_METHODS[name]!(object, args, twins));
    if (isList(object) && Object.hasOwn(LIST_METHODS, name))
      return call((args) => LIST_METHODS[name]!(object, args, twins));
    if (isDict(object) && Object.hasOwn(DICT_METHODS, name))
      return call((args) => DICT_METHODS[name]!(object, args, twins));
    return null;
  }

  private called(node: Node, scope: Scope): Value {
    const callee = node.callee as Node;
    const target =
      callee.type === "MemberExpression" ? this.member(callee, scope, true) : this.evaluate(callee, scope);
    if (target.type !== "FunctionValue") {
      const name = callee.type === "Identifier" ? (callee.value as string) : "a value";
      throw new Error(`${name} is no function`);
    }
    return super.evaluate({ ...node, callee: constant(target) }, scope);
  }

  private dictionary(node: Node, scope: Scope): Value {
    const map = new TwinKeys(this.twins);
    for (const [key, value] of node.value as Map<Node, Node>) {
      map.set(keyOf(this.evaluate(key, scope)), this.evaluate(value, scope));
    }
    return dict(map);
  }
}

/** The package's classes for `break` and `continue` have no names of their own: they are found by trying them. */
const jumps = new Map<unknown, "break" | "continue">();
for (const kind of ["break", "continue"] as const) {
  try {
    new BaseInterpreter(newScope()).evaluate({ type: kind === "break" ? "Break" : "Continue" }, newScope());
  } catch (error) {
    jumps.set((error as object).constructor, kind);
  }
}
const jumpOf = (error: unknown) => (error instanceof Error ? jumps.get(error.constructor) : undefined);
const isJump = (error: unknown): error is Jump => jumpOf(error) !== undefined;

/** @throws Error for a tuple of another length */
function bind(target: Node, value: Value, scope: Scope): void {
  if (target.type === "Identifier") {
    scope.setVariable(target.value as string, value);
    return;
  }
  const names = target.value as Node[];
  const items = itemsOf(value);
  if (items === null || items.length !== names.length)
    throw new Error("a loop unpacks another number of items");
  for (const [i, name] of names.entries()) bind(name, items[i]!, scope);
}

function loopValue(items: readonly Value[], index: number, twins: Twins): Value {
  const { length } = items;
  const map = new TwinKeys(twins);
  const facts: Readonly<Record<string, Value>> = {
    index: integer(index + 1),
    index0: integer(index),
    revindex: integer(length - index),
    revindex0: integer(length - index - 1),
    first: truth(index === 0),
    last: truth(index === length - 1),
    length: integer(length),
    previtem: items[index - 1] ?? UNDEFINED,
    nextitem: items[index + 1] ?? UNDEFINED,
    cycle: call((args) => args[index % args.length] ?? UNDEFINED),
  };
  for (const [name, value] of Object.entries(facts)) map.set(name, value);
  return dict(map);
}

const MOST_RANGE = 100_000;

function range(args: readonly Value[]): Value {
  const numbers = args.map((arg) => (isInteger(arg) ? arg.value : 0));
  const [from, to] = numbers.length === 1 ? [0, numbers[0]!] : [numbers[0]!, numbers[1]!];
  const step = numbers[2] ?? 1;
  const count = step === 0 ? 0 : Math.max(0, Math.ceil((to - from) / step));
  if (count > MOST_RANGE) throw new Error(`range() has ${count} numbers, and ${MOST_RANGE} at most`);
  return list(Array.from({ length: count }, (_, i) => integer(from + i * step)));
}

function globals(twins: Twins): Readonly<Record<string, Value>> {
  const constants = { true: truth(true), false: truth(false), none: NONE };
  return {
    ...{ ...constants, True: truth(true), False: truth(false), None: NONE },
    raise_exception: call(([reason]) => {
      throw new Error(twins.plain(printed(reason ?? UNDEFINED)));
    }),
    range: call(range),
    strftime_now: call(([format]) => text(dateText(printed(format ?? UNDEFINED)))),
    dict: call((args) => {
      const { positional, named } = argumentsOf(args);
      return copyOf([...positional, dict(new Map(named))], twins);
    }),
  };
}
