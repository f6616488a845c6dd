import { LabIcon } from '@jupyterlab/ui-components';

/** datarun's own icon: the folds of a cross-validation, each with another part held out. */
export const datarunIcon = new LabIcon({
  name: 'datarun:folds',
  svgstr: `<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24">
  <g class="jp-icon3" fill="#616161">
    <path d="M3 4h4v4H3zM9 4h12v4H9z" opacity=".45"/>
    <path d="M3 10h6v4H3zM17 10h4v4h-4z" opacity=".45"/>
    <path d="M3 16h12v4H3z" opacity=".45"/>
    <path d="M3 4h4v4H3zM11 10h4v4h-4zM17 16h4v4h-4z"/>
  </g>
</svg>`
});
