import { spawn } from 'node:child_process'

/**
 * Ends a temporary server and removes its folder when this process is gone, however it went. A shell waits for the end of its
 * standard input, which the kernel closes even after a SIGKILL; a line on it means that all was cleaned up in the ordinary way.
 *
 * A Postgres takes its children with it on SIGQUIT; `pidFile`, whose first line must still name the process, keeps a number that
 * was given to a stranger safe.
 */
export function watchdog(options: {
  readonly pid: number
  readonly pidFile: string
  readonly folder: string
  readonly signal: 'QUIT' | 'KILL'
}): { dismiss(): void } {
  const script = `
    if read -r _; then exit 0; fi
    if [ "$(head -n 1 "$2")" = "$1" ]; then kill -"$4" "$1"; fi
    for _ in 1 2 3 4 5 6 7 8 9 10; do kill -0 "$1" 2>/dev/null || break; sleep 0.2; done
    rm -rf -- "$3"`
  const child = spawn('sh', ['-c', script, 'synod-watchdog', String(options.pid), options.pidFile, options.folder, options.signal], {
    detached: true, // its own session: a Ctrl-C at the terminal must not end it before it has cleaned up
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  child.unref()
  child.stdin.on('error', () => {}) // it ended first
  ;(child.stdin as unknown as { unref?(): void }).unref?.()
  return { dismiss: () => void child.stdin.end('done\n') }
}
