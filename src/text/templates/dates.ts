import { Template } from "@huggingface/jinja";

/** Dates as templates write them: in English, whatever the machine speaks. */

const MONTHS = [
  ...["January", "February", "March", "April", "May", "June"],
  ...["July", "August", "September", "October", "November", "December"],
];
const DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/** The local time by the template engine: year, month from 1, day, hour, minute. */
let clock: Template | null = null;

/** Python's strftime() of the present time. */
export function dateText(format: string): string {
  clock ??= new Template("{{ strftime_now('%Y %m %d %H %M') }}");
  const [year, month, day, hour, minute] = clock.render().split(" ").map(Number) as [
    number,
    ...[number, number, number, number],
  ];
  const two = (number: number) => String(number).padStart(2, "0");
  const weekday = DAYS[weekdayOf(year, month, day)]!;
  const name = MONTHS[month - 1]!;
  const parts: Readonly<Record<string, string>> = {
    ...{ Y: String(year), y: two(year % 100), m: two(month), d: two(day), e: String(day).padStart(2) },
    ...{ B: name, b: name.slice(0, 3), A: weekday, a: weekday.slice(0, 3) },
    ...{ H: two(hour), M: two(minute), S: "00", I: two(hour % 12 || 12), p: hour < 12 ? "AM" : "PM" },
    ...{ F: `${year}-${two(month)}-${two(day)}`, "%": "%" },
  };
  return format.replace(/%(-?)(.)/g, (whole, plain: string, letter: string) => {
    const part = parts[letter];
    if (part === undefined) return whole;
    return plain === "-" ? part.replace(/^[0 ](?=.)/, "") : part;
  });
}

/** From Sunday, 0. Sakamoto's method. */
function weekdayOf(year: number, month: number, day: number): number {
  const shift = [0, 3, 2, 5, 0, 3, 5, 1, 4, 6, 2, 4][month - 1]!;
  const y = month < 3 ? year - 1 : year;
  return (y + Math.floor(y / 4) - Math.floor(y / 100) + Math.floor(y / 400) + shift + day) % 7;
}
