import * as React from 'react';

interface ITabsProps<K extends string> {
  label: string;
  tabs: readonly (readonly [K, string])[];
  current: K;
  onShow: (tab: K) => void;
  children: React.ReactNode;
}

/** Views of which one is shown; arrow keys go from one to the next. */
export function Tabs<K extends string>(props: ITabsProps<K>): React.ReactElement {
  const { tabs, current, onShow } = props;
  const id = React.useId();
  const onKeyDown = (event: React.KeyboardEvent<HTMLElement>) => {
    const place = tabs.findIndex(([tab]) => tab === current);
    const step = event.key === 'ArrowRight' ? 1 : event.key === 'ArrowLeft' ? -1 : 0;
    const next = tabs[(place + step + tabs.length) % tabs.length];
    if (step !== 0) {
      event.preventDefault();
      onShow(next[0]);
      document.getElementById(`${id}-${next[0]}`)?.focus();
    }
  };
  return (
    <div className="jp-Datarun-tabs">
      <div role="tablist" aria-label={props.label} onKeyDown={onKeyDown}>
        {tabs.map(([tab, title]) => (
          <button
            key={tab}
            id={`${id}-${tab}`}
            type="button"
            role="tab"
            aria-selected={tab === current}
            aria-controls={`${id}-panel`}
            tabIndex={tab === current ? 0 : -1}
            onClick={() => onShow(tab)}
          >
            {title}
          </button>
        ))}
      </div>
      <div
        role="tabpanel"
        id={`${id}-panel`}
        aria-labelledby={`${id}-${current}`}
        className="jp-Datarun-tabPanel"
      >
        {props.children}
      </div>
    </div>
  );
}
