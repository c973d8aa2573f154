"""Prints a workbook as JSON, as openpyxl reads it: a reader that shares no code with the writer."""
import datetime
import json
import sys

import openpyxl


def cell(c):
    value = c.value
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        value = value.isoformat()
    return {
        "ref": c.coordinate,
        "type": c.data_type,
        "value": "" if value is None else str(value),
        "format": c.number_format,
        "bold": bool(c.font.b),
        "fill": c.fill.start_color.rgb if c.fill.fill_type == "solid" else "",
        "font": c.font.color.rgb if c.font.color is not None and c.font.color.type == "rgb" else "",
    }


def main():
    book = openpyxl.load_workbook(sys.argv[1])
    json.dump(
        {
            "title": book.properties.title,
            "creator": book.properties.creator,
            "sheets": [
                {
                    "name": s.title,
                    "freeze": s.freeze_panes or "",
                    "filter": s.auto_filter.ref or "",
                    "widths": {k: v.width for k, v in s.column_dimensions.items()},
                    "rows": [[cell(c) for c in row] for row in s.iter_rows()],
                }
                for s in book.worksheets
            ],
        },
        sys.stdout,
    )


main()
