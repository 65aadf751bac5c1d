// The page docs/coming-from.md from what the libraries gave: its headings name the versions that gave the numbers, and its tables
// have the rows that passed. A row is proposed by writing it into a table.

/** The package of a heading, where it is not the heading in lower case. */
const packages = {
  'nnU-Net': 'nnunetv2',
  'segmentation_models.pytorch': 'segmentation-models-pytorch',
  PyTorch: 'torch',
};

/** The version with as many numbers as the heading has, as 2.8.1 is 2.8. */
const shortened = (version, like) => version.split('.').slice(0, like.split('.').length).join('.');

/**
 * versions: of the packages. passed: the rows' names, as test/docs/coming-from.test.ts has them: "MONAI: DiceLoss()", and of metrics the call
 * alone. Gives the page, and the rows that it leaves out.
 */
export function pageOf(page, versions, passed) {
  const leftOut = [];
  let library = '';
  const lines = page.split('\n').flatMap((line) => {
    const heading = /^## ((\S+).*?)(?: (v?)([\d.]+))?$/.exec(line);
    if (heading) {
      const [, title, word, v, version] = heading;
      library = version ? `${word}: ` : '';
      if (!version) return [line];
      const given = versions[packages[title] ?? title.toLowerCase()];
      return [`## ${title} ${v}${shortened(given, version)}`];
    }
    const row = /^\| `(.+?)` \| `new .+?` \| `.+?` \|$/.exec(line);
    const name = row && `${library}${row[1]}`;
    if (!row || passed.has(name)) return [line];
    leftOut.push(name);
    return [];
  });
  return { text: lines.join('\n'), leftOut };
}
