// A process that takes its turns by lines of JSON: a request on its stdin, `{ command, ... }`, and one answer on its stdout,
// `{ ... }` or `{ error }`.
import type { ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';

/**
 * Sends `command` with its fields and resolves with the answer; one at a time. Rejects when the answer is an error, or the
 * process cannot be started or ends.
 */
export function asker(child: ChildProcess) {
  let settle: { resolve(line: string): void; reject(error: Error): void } | undefined;
  let ended: Error | undefined;
  const end = (error: Error) => {
    ended = error;
    settle?.reject(error);
  };
  child.on('error', end);
  child.on('exit', (code, signal) => end(new Error(`it ended with ${signal ?? code}`)));
  child.stdin?.on('error', end);
  if (child.stdout) {
    createInterface(child.stdout).on('line', (line) => settle?.resolve(line));
  }
  return async <Answer>(command: string, fields: object): Promise<Answer> => {
    if (ended) throw ended;
    const line = await new Promise<string>((resolve, reject) => {
      settle = { resolve, reject };
      child.stdin?.write(`${JSON.stringify({ command, ...fields })}\n`);
    });
    const answer = JSON.parse(line) as Answer & { error?: string };
    if (answer.error) throw new Error(answer.error);
    return answer;
  };
}
