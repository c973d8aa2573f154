export interface FilterOption {
  value: string
  label: string
}

interface FieldBase<K extends string> {
  key: K
  label: string
}

/** One control of a FilterForm. A value is the text in the address; a range sets two of them. */
export type FilterField<K extends string> =
  | (FieldBase<K> & { type: 'text'; placeholder?: string; maxLength?: number })
  | (FieldBase<K> & { type: 'select'; options: FilterOption[] })
  | (FieldBase<K> & {
      type: 'remote'
      /** Finds options by what was typed; empty text asks for the first ones. */
      search: (text: string, signal: AbortSignal) => Promise<FilterOption[]>
      /** The label of a value that came with the address and was never searched for. */
      labelOf: (value: string) => string
    })
  | (FieldBase<K> & { type: 'dates'; endKey: K })

/** The filters that the fields set, in their order. */
export function fieldKeys<K extends string>(fields: readonly FilterField<K>[]): K[] {
  return fields.flatMap((field) => (field.type === 'dates' ? [field.key, field.endKey] : [field.key]))
}

/** What the form calls each filter, for messages about them. */
export function filterLabels<K extends string>(fields: readonly FilterField<K>[]): Record<string, string> {
  const labels: Record<string, string> = {}
  for (const field of fields) {
    if (field.type === 'dates') [labels[field.key], labels[field.endKey]] = dateLabels(field)
    else labels[field.key] = field.label
  }
  return labels
}

/** What the two ends of a range of dates are called; either may be set without the other. */
export function dateLabels({ label }: { label: string }): [from: string, to: string] {
  return [`${label}(起)`, `${label}(止)`]
}

/** The options and, as it is, a value that is none of them: what is set must be seen. */
export function withValue(options: readonly FilterOption[], ...values: string[]): FilterOption[] {
  const all = [...options]
  for (const value of values) {
    if (value !== '' && !all.some((option) => option.value === value)) all.push({ value, label: value })
  }
  return all
}
