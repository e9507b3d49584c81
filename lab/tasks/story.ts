import type { Dice } from "./dice.ts";
import type { Character, Task } from "./task.ts";
import { capital, withArticle } from "./words.ts";

/** Short stories whose characters, objects and places stay what they are. */

export const STORY_NAMES: readonly string[] =
  "Amber Bodo Clover Dorka Ember Filou Goldie Humble Indigo Jolly Koko Linus Maple Nico Ollie Pepper Quincy Runa Sunny Tinka Umbra Velvet Willow Ziggy Bruno Celia Dara Enzo Fanny Gino Hugin Ilse Juri Kasimir Leda Momo".split(
    " ",
  );
export const STORY_KINDS: readonly string[] =
  "fox owl bear mouse cat dog frog crow deer goat wolf hedgehog squirrel badger otter heron baker sailor gardener painter miller tailor fisher robot dragon giant".split(
    " ",
  );
const NATURES =
  "small brave quiet clever old young shy proud lonely curious cheerful sleepy kind stubborn careful patient".split(
    " ",
  );
export const STORY_THINGS: readonly string[] =
  "lantern key map drum mirror rope basket compass flute crown clock letter shell book whistle ring teapot ladder wheel scarf wagon violin".split(
    " ",
  );
const LOOKS = "silver wooden golden tiny rusty blue red shiny dusty painted green heavy strange old".split(
  " ",
);
const PLACES =
  "forest village mountain meadow lighthouse harbor mill garden bridge cave island valley market tower orchard pond".split(
    " ",
  );
const TIMES = "morning evening night afternoon autumn spring winter summer".split(" ");
const SPOTS = [
  "under a tree",
  "beside the road",
  "on a stone wall",
  "in the tall grass",
  "near the water",
  "behind a door",
];
const FOODS = "soup bread berries honey cake tea pie cheese nuts apples".split(" ");
const FEELINGS = "happy worried tired excited afraid surprised calm hopeful sad grateful".split(" ");

/** What a story is told of. */
interface Cast {
  readonly hero: Character;
  readonly friend: Character;
  readonly heroNature: string;
  readonly friendNature: string;
  readonly thing: string;
  readonly look: string;
  readonly home: string;
  readonly far: string;
}

function castOf(dice: Dice): Cast {
  const [heroName, friendName] = dice.some(STORY_NAMES, 2) as [string, string];
  const [heroKind, friendKind] = dice.some(STORY_KINDS, 2) as [string, string];
  const [heroNature, friendNature] = dice.some(NATURES, 2) as [string, string];
  const [home, far] = dice.some(PLACES, 2) as [string, string];
  return {
    hero: { name: heroName, kind: heroKind },
    friend: { name: friendName, kind: friendKind },
    heroNature,
    friendNature,
    thing: dice.pick(STORY_THINGS),
    look: dice.pick(LOOKS),
    home,
    far,
  };
}

/** What the prompt gives away; the rest the story makes up. */
interface Request {
  readonly prompt: string;
  readonly mentions: readonly string[];
}

const OPEN_REQUESTS = [
  "Tell me a story.",
  "Tell me a short story.",
  "Write a story.",
  "Please write a short story.",
  "Can you tell me a story?",
  "I would like a story.",
] as const;

function requestOf(dice: Dice, { hero, friend, thing, home }: Cast): Request {
  const ask = dice.pick([
    "Tell me a story about",
    "Tell me a short story about",
    "Write a story about",
    "Write a short story about",
    "Can you make up a story about",
    "Please tell a tale of",
  ]);
  const end = ask.startsWith("Can") ? "?" : ".";
  const [kind, other] = [withArticle(hero.kind), withArticle(friend.kind)];
  const about = (subject: string, ...mentions: string[]): Request => ({
    prompt: `${ask} ${subject}${end}`,
    mentions,
  });
  return dice.pick<() => Request>([
    () => about(`${kind} and ${withArticle(thing)}`, hero.kind, thing),
    () => about(`${kind} and ${withArticle(thing)}`, hero.kind, thing),
    () =>
      about(
        `${kind} named ${hero.name} and ${other} named ${friend.name}`,
        ...[hero.name, hero.kind, friend.name, friend.kind],
      ),
    () =>
      about(
        `${hero.name} the ${hero.kind}, who finds ${withArticle(thing)} near the ${home}`,
        ...[hero.name, hero.kind, thing, home],
      ),
    () => about(`${kind} who lives near the ${home}`, hero.kind, home),
    () => about(`${kind} and ${other}`, hero.kind, friend.kind),
    () => about(kind, hero.kind),
    () => about(`${kind} named ${hero.name}`, hero.name, hero.kind),
    () => ({ prompt: dice.pick(OPEN_REQUESTS), mentions: [] }),
  ])();
}

type Plot = (dice: Dice, cast: Cast) => string[];

const lost: Plot = (dice, { hero, friend, thing, far }) => [
  dice.pick([
    `"That ${thing} is mine," said ${friend.name}. "I lost it at the ${far}."`,
    `${friend.name} looked at the ${thing} and said, "I dropped it near the ${far} long ago."`,
  ]),
  `${hero.name} felt ${dice.pick(FEELINGS)}, but gave the ${thing} back.`,
  dice.pick([
    `"Thank you," said ${friend.name}, and shared some ${dice.pick(FOODS)}.`,
    `${friend.name} was ${dice.pick(FEELINGS)} and asked ${hero.name} to stay for ${dice.pick(FOODS)}.`,
  ]),
];

const journey: Plot = (dice, { hero, friend, thing, far }) => [
  `${friend.name} needed the ${thing} to reach the ${far}.`,
  dice.pick([
    `So they walked to the ${far} together.`,
    `So ${hero.name} and ${friend.name} carried it to the ${far}.`,
  ]),
  dice.pick([
    `On the way a storm came, and they hid until it was over.`,
    `On the way the bridge was broken, and they had to swim.`,
    `On the way it grew dark, and they followed the stars.`,
  ]),
  `At the ${far} they rested and ate ${dice.pick(FOODS)}.`,
];

const trade: Plot = (dice, { hero, friend, thing }) => {
  const other = dice.pick(STORY_THINGS.filter((name) => name !== thing));
  const agreed = dice.chance(0.5);
  return [
    `${friend.name} had ${withArticle(other)} and wanted to trade it for the ${thing}.`,
    `${hero.name} thought for a while and said ${agreed ? "yes" : "no"}.`,
    agreed
      ? `So ${hero.name} went home with the ${other}, and ${friend.name} kept the ${thing}.`
      : `So ${hero.name} kept the ${thing}, and ${friend.name} kept the ${other}.`,
    `Then they sat down and ate ${dice.pick(FOODS)}.`,
  ];
};

const repair: Plot = (dice, { hero, friend, thing, far }) => [
  `But the ${thing} was broken.`,
  dice.pick([
    `"I can repair it," said ${friend.name}, and took it to the ${far}.`,
    `${friend.name} knew somebody at the ${far} who could repair it.`,
  ]),
  `They worked all ${dice.pick(["day", "night", "week"])} until the ${thing} was as good as new.`,
  `${hero.name} was ${dice.pick(FEELINGS)} and thanked ${friend.name}.`,
];

const wish: Plot = (dice, { hero, friend, thing }) => [
  dice.pick([
    `"This ${thing} can grant one wish," whispered ${friend.name}.`,
    `${friend.name} said that the ${thing} was magic.`,
  ]),
  `${hero.name} wished for ${dice.pick(["a warm house", "a good friend", "a long journey", "a day without rain", "a song"])}.`,
  dice.pick([
    `The ${thing} began to glow, and the wish came true.`,
    `Nothing happened, and they both laughed.`,
  ]),
];

const PLOTS: readonly Plot[] = [lost, journey, trade, repair, wish];

export function storyTask(dice: Dice): Task {
  const cast = castOf(dice);
  const { hero, friend, heroNature, friendNature, thing, look, home, far } = cast;
  const { prompt, mentions } = requestOf(dice, cast);
  const beginning = [
    dice.pick([
      `Once upon a time, ${withArticle(heroNature)} ${hero.kind} named ${hero.name} lived near the ${home}.`,
      `Near the ${home} there lived ${withArticle(heroNature)} ${hero.kind} called ${hero.name}.`,
      `${hero.name} was ${withArticle(heroNature)} ${hero.kind} who lived by the ${home}.`,
    ]),
    dice.pick([
      `One ${dice.pick(TIMES)}, ${hero.name} found ${withArticle(look)} ${thing} ${dice.pick(SPOTS)}.`,
      `One ${dice.pick(TIMES)}, ${withArticle(look)} ${thing} lay ${dice.pick(SPOTS)}, and ${hero.name} took it home.`,
    ]),
    ...(dice.chance(0.5) ? [`"Whose ${thing} may this be?" said ${hero.name}.`] : []),
  ];
  const meeting = dice.pick([
    `Soon ${hero.name} met ${withArticle(friendNature)} ${friend.kind} named ${friend.name}.`,
    `Just then ${withArticle(friendNature)} ${friend.kind} called ${friend.name} came along.`,
    `${friend.name}, ${withArticle(friendNature)} ${friend.kind}, came by from the ${far}.`,
  ]);
  const end = dice.pick([
    `From that day on, ${hero.name} the ${hero.kind} and ${friend.name} the ${friend.kind} were friends.`,
    `After that they met at the ${home} every ${dice.pick(TIMES)}.`,
    `${capital(look)} or not, ${hero.name} never forgot that ${thing}.`,
  ]);
  const answer = `${beginning.join(" ")}\n${[meeting, ...dice.pick(PLOTS)(dice, cast), end].join(" ")}`;
  return {
    family: "story",
    prompt,
    answer,
    check: { kind: "story", cast: castNamed(prompt, cast), mentions },
  };
}

/** Characters that the prompt names: a story must keep to them. */
function castNamed(prompt: string, { hero, friend }: Cast): Character[] {
  return [hero, friend].filter(
    ({ name }) =>
      prompt.includes(` ${name} `) || prompt.includes(` ${name}.`) || prompt.includes(` ${name}?`),
  );
}
