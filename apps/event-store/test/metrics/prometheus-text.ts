/** Prometheus' text format, read strictly: what does not fit throws. */
export interface Family {
  readonly type: string
  readonly help: string
  /** By `name{labels}`, as it stands there. */
  readonly samples: ReadonlyMap<string, number>
}

const sampleLine = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{(?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\.)*",?)*\})? (\S+)$/

export function parseMetrics(text: string): ReadonlyMap<string, Family> {
  const families = new Map<string, Family & { readonly samples: Map<string, number> }>()
  let help = ''
  let current: [string, Family & { readonly samples: Map<string, number> }] | undefined
  for (const line of text.split('\n')) {
    if (line === '') continue
    if (line.startsWith('# HELP ')) help = line.slice(line.indexOf(' ', 7) + 1)
    else if (line.startsWith('# TYPE ')) {
      const [name = '', type = ''] = line.slice(7).split(' ')
      if (families.has(name)) throw new Error(`${name} is there twice`)
      current = [name, { type, help, samples: new Map() }]
      families.set(...current)
    } else {
      const [, name = '', labels = '', value = ''] = sampleLine.exec(line) ?? []
      if (current === undefined || !name.startsWith(current[0])) throw new Error(`not a sample of ${current?.[0]}: ${line}`)
      const number = value === '+Inf' ? Infinity : Number(value)
      if (Number.isNaN(number) && value.toLowerCase() !== 'nan') throw new Error(`not a number: ${line}`)
      const key = name + labels
      if (current[1].samples.has(key)) throw new Error(`${key} is there twice`)
      current[1].samples.set(key, number)
    }
  }
  return families
}

/** One value; undefined when it is not there. */
export function valueOf(families: ReadonlyMap<string, Family>, sample: string): number | undefined {
  for (const [name, { samples }] of families) if (sample.startsWith(name) && samples.has(sample)) return samples.get(sample)
  return undefined
}
