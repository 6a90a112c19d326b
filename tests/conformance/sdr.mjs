// Resolves and converts a source folder with Salesforce's own library; prints what it found, or {error}.
import { join } from "node:path";
import sdr from "@salesforce/source-deploy-retrieve";

const [folder] = process.argv.slice(2);

async function converted() {
  const set = sdr.ComponentSet.fromSource(join(folder, "force-app"));
  const tops = set.getSourceComponents().toArray();
  const all = [...tops, ...tops.flatMap((each) => each.getChildren())];
  const files = all.flatMap((each) => [each.xml, ...each.walkContent()]).filter(Boolean);
  const output = { type: "directory", outputDirectory: folder, packageName: "out" };
  await new sdr.MetadataConverter().convert(set, "metadata", output);
  return { files, types: [...new Set(all.map((each) => each.type.name))], components: all.length, package: await set.getPackageXml() };
}

console.log(JSON.stringify(await converted().catch((error) => ({ error: error.name }))));
