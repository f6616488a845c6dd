import { CodeEditorWrapper, type CodeEditor } from '@jupyterlab/codeeditor';
import { CodeEditor as Editors } from '@jupyterlab/codeeditor';
import { Widget } from '@lumino/widgets';
import * as React from 'react';
import { useApp } from '../ui/context';

/** A Python editor, or with `readOnly` a view of code with one line marked. */
export function PythonEditor(props: {
  label: string;
  value: string;
  onChange?: (value: string) => void;
  readOnly?: boolean;
  /** Line to mark and to scroll to, from 1. */
  line?: number;
}): React.ReactElement {
  const { editors } = useApp();
  const host = React.useRef<HTMLDivElement>(null);
  const editor = React.useRef<CodeEditor.IEditor | null>(null);
  const latest = React.useRef(props);
  latest.current = props;

  React.useLayoutEffect(() => {
    const node = host.current;
    if (!node) {
      return;
    }
    const model = new Editors.Model({ mimeType: 'text/x-python' });
    model.sharedModel.setSource(latest.current.value);
    const wrapper = new CodeEditorWrapper({
      model,
      factory: editors.factoryService.newDocumentEditor,
      editorOptions: {
        config: {
          lineNumbers: true,
          lineWrap: false,
          readOnly: latest.current.readOnly ?? false,
          tabFocusable: latest.current.readOnly ?? false
        }
      }
    });
    model.sharedModel.changed.connect(() => {
      latest.current.onChange?.(model.sharedModel.getSource());
    });
    Widget.attach(wrapper, node);
    editor.current = wrapper.editor;
    const content = node.querySelector<HTMLElement>('.cm-content');
    content?.setAttribute('aria-label', latest.current.label);
    // A region that scrolls must be reachable by keyboard.
    node.querySelector<HTMLElement>('.cm-scroller')?.setAttribute('tabindex', '0');
    return () => {
      editor.current = null;
      if (wrapper.isAttached && node.isConnected) {
        Widget.detach(wrapper);
      }
      wrapper.dispose();
      model.dispose();
    };
  }, [editors]);

  React.useEffect(() => {
    const shared = editor.current?.model.sharedModel;
    if (shared && shared.getSource() !== props.value) {
      shared.setSource(props.value);
    }
  }, [props.value]);

  React.useEffect(() => {
    const { line } = props;
    const shown = editor.current;
    if (!shown || !line) {
      return;
    }
    const start = { line: line - 1, column: 0 };
    const end = { line: line - 1, column: (shown.getLine(line - 1) ?? '').length };
    shown.setSelection({ start, end });
    shown.revealSelection({ start, end });
  }, [props.line, props.value]);

  return <div ref={host} className="jp-Datarun-editor" />;
}
