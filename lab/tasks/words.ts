/** Words that tasks are made of. */

export interface Person {
  readonly name: string;
  readonly she: boolean;
}

const SHE =
  "Alma Bea Cora Dina Edda Flora Gwen Heidi Inga Judith Kira Lotte Mira Nadia Olga Petra Ruth Selma Thea Ulla Wanda Zora Anna Maria Mary Lisa Emma Julia Sarah Laura Alice Eva Nora Lucy Jane Sofia Mia Clara Rosa Ella Grace Amy";
const HE =
  "Anton Boris Cyril Denis Elias Felix Gustav Henry Ivan Jonas Karl Lukas Martin Nils Oscar Peter Roman Simon Tobias Viktor Walter Yannis Tom Ben John Paul Max Sam David Jack Mark Leo Adam Daniel James Michael Robert Alex Carl Omar Ravi Kofi";

export const PEOPLE: readonly Person[] = [
  ...SHE.split(" ").map((name) => ({ name, she: true })),
  ...HE.split(" ").map((name) => ({ name, she: false })),
];

/** Plurals of things that can be counted. */
export const THINGS: readonly string[] =
  "apples pears plums cherries walnuts eggs rolls cookies candles buttons beads shells stones coins stamps cards marbles stickers pencils brushes books maps keys bottles cups plates spoons tickets badges balloons kites tulips roses seeds feathers acorns oranges bananas lemons pens toys chairs flowers rings leaves nuts carrots peppers".split(
    " ",
  );

export const CONTAINERS: readonly string[] =
  "boxes bags baskets crates drawers jars tins trays shelves sacks buckets bowls".split(" ");

export const capital = (word: string): string => word[0]!.toUpperCase() + word.slice(1);

/** "a fox", "an owl". */
export const withArticle = (word: string): string => `${/^[aeiou]/.test(word) ? "an" : "a"} ${word}`;

export const pronoun = ({ she }: Person): string => (she ? "she" : "he");
