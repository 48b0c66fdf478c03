// Checks the dashboards against the TypeScript types of @grafana/schema: the
// dashboard as a whole, and the options and custom field settings of every panel
// against the types of its own kind. Run by `make check-dashboards`, in a directory
// that has @grafana/schema and typescript in node_modules:
//
//     node typecheck.mjs dashboards/*.json
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { basename } from "node:path";

const types = "@grafana/schema/dist/types/raw";
// Folder of the types of a kind of panel, and the name they get here.
const kinds = {
  "state-timeline": ["statetimeline", "StateTimeline"],
  barchart: ["barchart", "BarChart"],
  bargauge: ["bargauge", "BarGauge"],
  stat: ["stat", "Stat"],
  table: ["table", "Table"],
  timeseries: ["timeseries", "TimeSeries"],
};
// Kinds whose schema declares settings for custom; the others have none.
const withCustom = new Set(["barchart", "state-timeline", "timeseries", "table"]);

const lines = [
  `import type { Dashboard } from "@grafana/schema";`,
  // JSON has the values of string enums, not their members.
  "type Plain<T> = T extends string ? `${T}` : T extends (infer U)[] ? Plain<U>[]",
  "  : T extends object ? { [K in keyof T]: Plain<T[K]> } : T;",
  // The schema knows no data source's own settings of an annotation.
  "type Annotation = Plain<NonNullable<NonNullable<Dashboard['annotations']>['list']>[number]>",
  "  & { expr?: string; step?: string; titleFormat?: string; textFormat?: string; tagKeys?: string };",
  "type Board = Omit<Plain<Dashboard>, 'annotations'> & { annotations: { list: Annotation[] } };",
];
const used = new Set();
const checks = [];
for (const file of process.argv.slice(2)) {
  const board = JSON.parse(readFileSync(file, "utf8"));
  const name = basename(file, ".json").replaceAll("-", "_");
  checks.push(`export const ${name}: Partial<Board> = ${JSON.stringify(board)};`);
  for (const p of board.panels.filter((p) => p.type !== "row")) {
    if (!kinds[p.type]) throw new Error(`${file}: no types known for panels of type ${p.type}`);
    used.add(p.type);
    const id = kinds[p.type][1];
    checks.push(`export const ${name}_${p.id}: Plain<Partial<${id}.Options>> = ${JSON.stringify(p.options)};`);
    const custom = p.fieldConfig.defaults.custom;
    if (custom && withCustom.has(p.type))
      checks.push(`export const ${name}_${p.id}_custom: Plain<Partial<${id}.FieldConfig>> = ${JSON.stringify(custom)};`);
    else if (custom) throw new Error(`${file}: panel ${p.id}: ${p.type} takes no custom field settings`);
  }
}
for (const kind of used) {
  const [dir, id] = kinds[kind];
  const path = `${types}/composable/${dir}/panelcfg/x/types.gen`;
  if (!existsSync(`node_modules/${path}.d.ts`)) throw new Error(`${path}: no such types`);
  lines.push(`import type * as ${id} from "./node_modules/${path}";`);
}
writeFileSync("check.ts", lines.concat(checks).join("\n") + "\n");
const tsc = ["node_modules/typescript/bin/tsc", "--noEmit", "--strict", "--skipLibCheck", "--module", "nodenext",
  "--moduleResolution", "nodenext", "--target", "es2022", "check.ts"];
try {
  execFileSync(process.execPath, tsc, { stdio: "inherit" });
} catch {
  process.exit(1);
}
console.log(`${process.argv.length - 2} dashboards, ${checks.length} checks against @grafana/schema: fine`);
