import { caretDownIcon, caretRightIcon } from '@jupyterlab/ui-components';
import * as React from 'react';
import { useApp, useChoices } from '../ui/context';
import { count } from '../ui/format';

/** A part of the panel that can be folded up; which ones are is kept. */
export function Section(props: {
  id: string;
  title: string;
  count: number;
  more?: boolean;
  children: React.ReactNode;
}): React.ReactElement {
  const { settings } = useApp();
  const { sections } = useChoices();
  const open = sections.includes(props.id);
  const bodyId = `datarun-section-${props.id}`;
  const Icon = open ? caretDownIcon : caretRightIcon;
  return (
    <section className="jp-Datarun-section" aria-label={props.title}>
      <h3>
        <button
          type="button"
          aria-expanded={open}
          aria-controls={bodyId}
          onClick={() =>
            settings.choose(
              'sections',
              open ? sections.filter(id => id !== props.id) : [...sections, props.id]
            )
          }
        >
          <Icon.react tag="span" width="16px" height="16px" />
          {props.title}
          <span className="jp-Datarun-count">
            {count(props.count)}
            {props.more ? '+' : ''}
          </span>
        </button>
      </h3>
      <div id={bodyId} hidden={!open}>
        {open && props.children}
      </div>
    </section>
  );
}
