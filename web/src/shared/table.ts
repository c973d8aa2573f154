/** One column of a DataTable; a slot named `cell-<key>` replaces the text where a cell is more than text. */
export interface TableColumn<Row> {
  key: string
  label: string
  /** The cell's text; empty values are shown as a dash. */
  text: (row: Row) => string | number | null | undefined
  /** Pixels. */
  width?: number
  minWidth?: number
  fixed?: boolean | 'right'
}
