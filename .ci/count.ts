// Prints `N passed, N failed` from a vitest JSON report: the closing line of `.ci/run`.
import { readFileSync } from 'node:fs'

interface Report {
  readonly success: boolean
  readonly numPassedTests: number
  readonly numFailedTests: number
  readonly numFailedTestSuites: number
}

let report: Report = { success: false, numPassedTests: 0, numFailedTests: 0, numFailedTestSuites: 1 }
try {
  report = JSON.parse(readFileSync(process.argv[2] ?? 'test-results/vitest.json', 'utf8')) as Report
} catch (error) {
  console.error(`no test report: ${String(error)}`)
}
// A file that does not load has no failed test, only a failed suite; it must not read as green.
const failed = report.success ? 0 : Math.max(report.numFailedTests, 1)
process.exitCode = failed === 0 && report.numPassedTests > 0 ? 0 : 1
console.log(`${report.numPassedTests} passed, ${failed} failed`)
