import * as React from 'react';
import { useWindow } from './windowed';

/** A column of a table. */
export interface IColumn<T> {
  readonly id: string;
  readonly title: string;
  /** What stands in its heading, where that is no word. */
  readonly head?: React.ReactNode;
  readonly cell: (row: T) => React.ReactNode;
  /** What it is sorted by; without it, it cannot be. */
  readonly by?: (row: T) => number | string;
  readonly number?: boolean;
}

interface ITableProps<T> {
  readonly label: string;
  readonly columns: readonly IColumn<T>[];
  readonly rows: readonly T[];
  readonly keyOf: (row: T) => number;
  readonly rowHeight: number;
  readonly selected?: number | null;
  readonly onSelect?: (row: T) => void;
  readonly rowClass?: string;
}

interface ISort {
  column: string;
  down: boolean;
}

function compare(a: number | string, b: number | string): number {
  return typeof a === 'number' && typeof b === 'number'
    ? a - b
    : String(a).localeCompare(String(b));
}

/** A native table that is sorted by its headings and draws only the rows in sight. */
export function Table<T>(props: ITableProps<T>): React.ReactElement {
  const { columns, rows, keyOf, rowHeight, selected, onSelect } = props;
  const [sort, setSort] = React.useState<ISort | null>(null);
  const body = React.useRef<HTMLTableSectionElement>(null);

  const sorted = React.useMemo(() => {
    const by = columns.find(column => column.id === sort?.column)?.by;
    if (!by || !sort) {
      return rows;
    }
    const direction = sort.down ? -1 : 1;
    return [...rows].sort((a, b) => direction * compare(by(a), by(b)) || keyOf(a) - keyOf(b));
  }, [rows, columns, sort, keyOf]);

  const { start, end } = useWindow(body, sorted.length, rowHeight);

  const onKeyDown = (event: React.KeyboardEvent<HTMLElement>) => {
    const steps: Record<string, number> = { ArrowDown: 1, ArrowUp: -1 };
    const step = steps[event.key];
    const row = (event.target as HTMLElement).closest('tr');
    if (!step || !row) {
      return;
    }
    const next = step > 0 ? row.nextElementSibling : row.previousElementSibling;
    const button = next?.querySelector<HTMLElement>('.jp-Datarun-rowButton');
    if (button) {
      event.preventDefault();
      button.focus();
    }
  };

  return (
    <table className="jp-Datarun-table" aria-label={props.label} aria-rowcount={sorted.length + 1}>
      <thead>
        <tr aria-rowindex={1}>
          {columns.map(column => (
            <th
              key={column.id}
              scope="col"
              className={column.number ? 'jp-Datarun-number' : undefined}
              aria-sort={
                sort?.column !== column.id ? undefined : sort.down ? 'descending' : 'ascending'
              }
            >
              {column.by ? (
                <button
                  type="button"
                  onClick={() =>
                    setSort(was => ({
                      column: column.id,
                      down: was?.column === column.id ? !was.down : false
                    }))
                  }
                >
                  {column.title}
                  <span aria-hidden className="jp-Datarun-sort">
                    {sort?.column === column.id ? (sort.down ? '▾' : '▴') : ''}
                  </span>
                </button>
              ) : (
                (column.head ?? column.title)
              )}
            </th>
          ))}
        </tr>
      </thead>
      <tbody ref={body} onKeyDown={onKeyDown}>
        {start > 0 && (
          <tr aria-hidden className="jp-Datarun-spacer">
            <td colSpan={columns.length} style={{ height: start * rowHeight }} />
          </tr>
        )}
        {sorted.slice(start, end).map((row, index) => (
          <tr
            key={keyOf(row)}
            aria-rowindex={start + index + 2}
            aria-current={selected === keyOf(row) ? true : undefined}
            className={props.rowClass}
            data-id={keyOf(row)}
            style={{ height: rowHeight }}
            onClick={() => onSelect?.(row)}
          >
            {columns.map(column => (
              <td key={column.id} className={column.number ? 'jp-Datarun-number' : undefined}>
                {column.cell(row)}
              </td>
            ))}
          </tr>
        ))}
        {end < sorted.length && (
          <tr aria-hidden className="jp-Datarun-spacer">
            <td colSpan={columns.length} style={{ height: (sorted.length - end) * rowHeight }} />
          </tr>
        )}
      </tbody>
    </table>
  );
}
