// Prints the next times of cron expressions: random ones at random instants, and daily ones around each change of the
// clock from 2020 to 2030. Its only argument is the seed.
import { Cron } from "croner";

let state = BigInt(process.argv[2]);
const below = (count) => {
  state = (state * 6364136223846793005n + 1442695040888963407n) & ((1n << 64n) - 1n);
  return Number((state >> 33n) % BigInt(count));
};
const pick = (list) => list[below(list.length)];

const changing = ["Europe/Berlin", "America/New_York", "Africa/Cairo", "Australia/Lord_Howe"];
const zones = [...changing, "UTC", "Asia/Kolkata", "Pacific/Auckland", "America/Sao_Paulo", "Asia/Tokyo"];

const field = (low, high, extra = []) => {
  const number = () => low + below(high - low + 1);
  switch (below(6)) {
    case 0:
    case 1:
      return "*";
    case 2:
      return `*/${pick([2, 3, 5, 7])}`;
    case 3: {
      const [a, b] = [number(), number()].sort((x, y) => x - y);
      return a === b ? `${a}` : `${a}-${b}`;
    }
    case 4:
      return extra.length > 0 ? pick(extra) : `${number()}`;
    default:
      return [...new Set([number(), number()])].join(",");
  }
};

const random = () => {
  const fields = [
    field(0, 59),
    field(0, 23),
    field(1, 28, ["L"]),
    field(1, 12),
    field(0, 6, ["MON-FRI", "TUE#1", "FRI#L", "SUN"]),
  ];
  return (below(5) === 0 ? [`${below(60)}`, ...fields] : fields).join(" ");
};

const cases = [];
const add = (cron, zone, from, count) => {
  const job = new Cron(cron, { timezone: zone, paused: true });
  const times = [];
  let at = new Date(from);
  for (let n = 0; n < count; n += 1) {
    at = job.nextRun(at);
    if (at === null || at.getTime() > Date.UTC(2060, 0)) break;
    times.push(at.getTime());
  }
  cases.push({ cron, zone, from, times });
};

const offset = (zone, at) => {
  const parts = new Intl.DateTimeFormat("en", { timeZone: zone, timeZoneName: "longOffset" }).formatToParts(at);
  return parts.find((part) => part.type === "timeZoneName").value;
};

for (let n = 0; n < 1000; n += 1) {
  add(random(), pick(zones), Date.UTC(2020, 0) + below(11 * 366 * 86400) * 1000, 3);
}
for (const zone of changing) {
  for (let at = Date.UTC(2020, 0); at < Date.UTC(2031, 0); at += 3600_000) {
    if (offset(zone, at) !== offset(zone, at + 3600_000)) {
      for (const hour of [0, 1, 2, 3]) {
        add(`30 ${hour} * * *`, zone, at - 36 * 3600_000, 4);
      }
      add("0 * * * *", zone, at - 3 * 3600_000, 8);
      add("*/20 * * * *", zone, at - 2 * 3600_000, 16);
    }
  }
}
console.log(JSON.stringify(cases));
