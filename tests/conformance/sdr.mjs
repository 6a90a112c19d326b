// Resolves and converts a source folder with Salesforce's own library; prints what it found.
import { rmSync } from "node:fs";
import { join } from "node:path";
import sdr from "@salesforce/source-deploy-retrieve";

const source = join(process.argv[2], "force-app");
const bad = join(source, "main/default/nonsense");
let nonsense = "";
try {
  sdr.ComponentSet.fromSource(bad).toArray();
} catch (error) {
  nonsense = error.name;
}
rmSync(bad, { recursive: true });
const components = sdr.ComponentSet.fromSource(source);
const all = components.getSourceComponents().toArray();
const children = all.flatMap((each) => each.getChildren());
const files = new Set([...all, ...children].map((each) => each.xml).filter(Boolean));
const types = new Set([...all, ...children].map((each) => each.type.name));
const result = await new sdr.MetadataConverter().convert(components, "metadata", { type: "directory", outputDirectory: join(process.argv[2], "out") });
console.log(JSON.stringify({ nonsense, files: files.size, types: [...types], package: await components.getPackageXml(), converted: result.converted.length }));
