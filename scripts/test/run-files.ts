import { relative } from 'node:path';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';

/** More files than these fail for a reason. */
const MOST_AGAIN = 5;

type RunOptions = NonNullable<Parameters<typeof run>[0]>;

/**
 * Runs test files and prints what they say.
 *
 * @param again a file with a test that failed is run once more, after all others and alone; where it passes then, that is told and is no failure.
 *   For continuous integration, where one of thousands of tests may meet a machine that stood still; to be mended like any other
 * @returns true when all passed
 */
export async function runFiles(
  options: RunOptions & { files: string[]; cwd: string },
  { again = false }: { again?: boolean } = {},
): Promise<boolean> {
  const failed = await failedFiles(options);
  if (failed.length === 0) return true;
  if (!again || failed.length > MOST_AGAIN) return false;
  const names = failed.map((file) => relative(options.cwd, file));
  console.log(`\nrun once more, alone, as a test failed:\n  ${names.join('\n  ')}\n`);
  if ((await failedFiles({ ...options, files: failed, concurrency: 1 })).length > 0) return false;
  console.log(
    `\npassed alone, after a test had failed beside others, which is to be mended:\n  ${names.join('\n  ')}\n`,
  );
  return true;
}

/** All of them when the run ended without its summary. */
async function failedFiles(options: RunOptions & { files: string[] }): Promise<string[]> {
  const failed = new Set<string>();
  let isWhole = false;
  const stream = run(options);
  stream.on('test:summary', ({ file, success }) => {
    if (file === undefined) isWhole = success || failed.size > 0;
    else if (!success) failed.add(file);
  });
  // A file that ends before its first test has no summary.
  stream.on('test:fail', ({ file }) => {
    if (file !== undefined && options.files.includes(file)) failed.add(file);
  });
  stream.compose(spec).pipe(process.stdout, { end: false });
  await new Promise((resolve) => stream.once('end', resolve));
  return isWhole ? [...failed] : options.files;
}
