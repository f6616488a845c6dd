import * as React from 'react';
import type { ApiError } from '../api/errors';
import type { PreflightFailed } from '../api/types';
import { useApp } from '../ui/context';
import { StateMark, TroubleBox, WordButton } from '../ui/parts';
import { explain } from '../ui/words';
import { Lines } from './lines';
import type { Files, ICheck } from './preflight';

/** How a submission failed when a runner tried it, if that is what the server says. */
export function failedTryOut(trouble: ApiError): PreflightFailed | null {
  const { said } = trouble;
  return Array.isArray(said.preflight) && typeof said.reason === 'string'
    ? (said as unknown as PreflightFailed)
    : null;
}

/** What is known of a submission before it is sent. */
export function Checks({ checks }: { checks: readonly ICheck[] }): React.ReactElement {
  const { trans } = useApp();
  const words = { fine: trans.__('Fine'), wrong: trans.__('Wrong'), doubt: trans.__('Doubtful') };
  const marks = { fine: 'good', wrong: 'bad', doubt: 'off' } as const;
  return (
    <ul className="jp-Datarun-checks">
      {checks.map(({ verdict, text }) => (
        <li key={text}>
          <StateMark mark={marks[verdict]} label={words[verdict]} />
          {text}
        </li>
      ))}
    </ul>
  );
}

/** Why a submission was not taken: what the try-out found, or what the server said. */
export function NotTaken(props: {
  trouble: ApiError;
  files: Files;
  /** Send it without a try-out. */
  onSkip: () => void;
  tried: boolean;
}): React.ReactElement {
  const { trans } = useApp();
  const { trouble, files } = props;
  const found = failedTryOut(trouble);
  const skip = <WordButton label={trans.__('Submit without trying')} onClick={props.onSkip} />;
  if (!found) {
    // Busy runners, or too many at once: only the try-out could not be had.
    const busy = props.tried && [413, 429, 503].includes(trouble.status);
    return (
      <>
        <TroubleBox trouble={trouble} />
        {busy && skip}
      </>
    );
  }
  const { title, remedy } = explain(found.reason ?? 'PLATFORM', trans);
  const line = found.user_line;
  const source = line ? files.get(line.file)?.split('\n') : undefined;
  return (
    <div className="jp-Datarun-failure" role="alert">
      <p>
        <b>{trans.__('Not sent: it failed on the first rows')}</b>
        <span>{title}</span>
        {found.detail && <q>{found.detail}</q>}
      </p>
      {line && <Lines file={line.file} line={line.line} text={line.text} source={source ?? null} />}
      <p>
        <small>{remedy}</small>
      </p>
      {(found.traceback || found.log) && (
        <details>
          <summary>{trans.__('Traceback and output')}</summary>
          <pre tabIndex={0} aria-label={trans.__('Traceback and output')}>
            {[found.log, found.traceback].filter(Boolean).join('\n')}
          </pre>
        </details>
      )}
      {skip}
    </div>
  );
}
