import { existsSync, readdirSync } from 'node:fs'
import { defineConfig } from 'vitest/config'

// One project a package, so that a report names the package; a package without tests yet is no failure.
const packages = ['packages', 'apps', 'tooling', 'examples'].flatMap((folder) =>
  readdirSync(new URL(folder, import.meta.url)).map((name) => `${folder}/${name}`),
)

/** One after the other: real clusters with real time-outs, and a simulator that takes every core, want the machine to themselves. */
function groupOf(root: string): number {
  return ['apps/event-store', 'packages/simulator', 'examples/course-enrolment'].indexOf(root) + 1
}

export default defineConfig({
  test: {
    passWithNoTests: true,
    reporters: ['default', 'json'],
    outputFile: { json: 'test-results/vitest.json' },
    testTimeout: 30_000,
    hookTimeout: 60_000,
    projects: packages
      .filter((root) => existsSync(new URL(`${root}/test`, import.meta.url)))
      .map((root) => ({
        extends: true as const,
        root: `./${root}`,
        test: { name: root, include: ['test/**/*.test.ts'], sequence: { groupOrder: groupOf(root) } },
      })),
  },
})
