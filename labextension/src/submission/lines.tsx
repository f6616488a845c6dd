import * as React from 'react';
import { useApp } from '../ui/context';
import { dedented } from '../ui/format';

const AROUND = 2;

/** The line of the person's own file at which it failed, and what stands around it. */
export function Lines(props: {
  file: string;
  line: number;
  text: string;
  source: readonly string[] | null;
}): React.ReactElement {
  const { trans } = useApp();
  const { file, line, source } = props;
  const first = source ? Math.max(1, line - AROUND) : line;
  const given = source ? source.slice(first - 1, line + AROUND) : [props.text];
  const shown = dedented(given);
  return (
    <figure className="jp-Datarun-lines">
      <figcaption>{trans.__('%1, line %2', file, line)}</figcaption>
      <pre tabIndex={0} aria-label={trans.__('The failing line and what stands around it')}>
        {shown.map((text, index) => {
          const number = first + index;
          return number === line ? (
            <mark key={number}>
              <span className="jp-Datarun-lineNumber">{number}</span>
              {text}
            </mark>
          ) : (
            <span key={number}>
              <span className="jp-Datarun-lineNumber">{number}</span>
              {text}
            </span>
          );
        })}
      </pre>
    </figure>
  );
}
