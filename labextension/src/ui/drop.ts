import * as React from 'react';

export interface IDrop {
  /** Whether files hover over the part. */
  over: boolean;
  handlers: Pick<
    React.DOMAttributes<HTMLElement>,
    'onDragEnter' | 'onDragOver' | 'onDragLeave' | 'onDrop'
  >;
}

/** Let files be dropped onto a part of the panel; folders are taken with the files in them. */
export function useDrop(take: (files: File[]) => void): IDrop {
  const [depth, setDepth] = React.useState(0);
  const carries = (event: React.DragEvent) => event.dataTransfer.types.includes('Files');
  return {
    over: depth > 0,
    handlers: {
      onDragEnter: event => {
        if (carries(event)) {
          event.preventDefault();
          setDepth(was => was + 1);
        }
      },
      onDragOver: event => {
        if (carries(event)) {
          event.preventDefault();
          event.dataTransfer.dropEffect = 'copy';
        }
      },
      onDragLeave: event => {
        if (carries(event)) {
          setDepth(was => Math.max(0, was - 1));
        }
      },
      onDrop: event => {
        if (carries(event)) {
          event.preventDefault();
          event.stopPropagation();
          setDepth(0);
          void filesOf(event.dataTransfer).then(files => {
            if (files.length > 0) {
              take(files);
            }
          });
        }
      }
    }
  };
}

async function filesOf(transfer: DataTransfer): Promise<File[]> {
  // Entries must be taken before the first wait: the browser empties the transfer after it.
  const entries = [...transfer.items].map(item => item.webkitGetAsEntry()).filter(isEntry);
  if (entries.length === 0) {
    return [...transfer.files];
  }
  return (await Promise.all(entries.map(filesIn))).flat();
}

function isEntry(entry: FileSystemEntry | null): entry is FileSystemEntry {
  return entry !== null;
}

async function filesIn(entry: FileSystemEntry): Promise<File[]> {
  if (entry.isFile) {
    const file = entry as FileSystemFileEntry;
    return [await new Promise<File>((resolve, reject) => file.file(resolve, reject))];
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  const inside: File[] = [];
  for (;;) {
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) =>
      reader.readEntries(resolve, reject)
    );
    if (some.length === 0) {
      return inside;
    }
    const files = some.filter(item => item.isFile && !item.name.startsWith('.'));
    inside.push(...(await Promise.all(files.map(filesIn))).flat());
  }
}
