import * as React from 'react';
import { asApiError, type ApiError } from '../api/errors';
import type { Fold, Submission } from '../api/types';
import { useApp } from '../ui/context';
import { Loading, TroubleBox } from '../ui/parts';
import { Tabs } from '../ui/tabs';
import { PythonEditor } from './editor';

/** The files of a submission; a line at which a fold failed is marked. */
export function Code(props: {
  submission: Submission;
  folds: readonly Fold[];
}): React.ReactElement {
  const { trans } = useApp();
  const { submission, folds } = props;
  const names = submission.files.map(({ name }) => name);
  const failed = folds.find(fold => fold.user_line)?.user_line ?? null;
  const [shown, setShown] = React.useState(failed?.file ?? names[0] ?? '');
  if (names.length === 0) {
    return <p className="jp-Datarun-empty">{trans.__('It has no files.')}</p>;
  }
  return (
    <Tabs
      label={trans.__('Files')}
      tabs={names.map(name => [name, name] as const)}
      current={shown}
      onShow={setShown}
    >
      <File
        key={shown}
        submission={submission.databoard_s_id}
        name={shown}
        line={failed?.file === shown ? failed.line : undefined}
      />
    </Tabs>
  );
}

function File(props: { submission: number; name: string; line?: number }): React.ReactElement {
  const { trans, model } = useApp();
  const { submission, name } = props;
  const [text, setText] = React.useState<string | null>(null);
  const [trouble, setTrouble] = React.useState<ApiError | null>(null);
  const [tries, again] = React.useReducer((n: number) => n + 1, 0);
  React.useEffect(() => {
    let over = false;
    setTrouble(null);
    model.api.submissionFile(submission, name).then(
      found => {
        if (!over) {
          setText(found);
        }
      },
      (reason: unknown) => {
        if (!over) {
          setTrouble(asApiError(reason));
        }
      }
    );
    return () => {
      over = true;
    };
  }, [model, submission, name, tries]);
  if (trouble) {
    return <TroubleBox trouble={trouble} onRetry={again} />;
  }
  if (text === null) {
    return <Loading what={trans.__('Loading %1…', name)} />;
  }
  return <PythonEditor label={name} value={text} readOnly line={props.line} />;
}
