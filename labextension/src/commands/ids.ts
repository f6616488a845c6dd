/** Every action of the panel, by its command. */
export enum CommandIDs {
  openPanel = 'datarun:open-panel',
  reconnect = 'datarun:reconnect',
  newDataset = 'datarun:new-dataset',
  sendFiles = 'datarun:send-files',
  openDataset = 'datarun:open-dataset',
  split = 'datarun:split',
  deleteDataset = 'datarun:delete-dataset',
  newSubmission = 'datarun:new-submission',
  submitCell = 'datarun:submit-cell',
  openSubmission = 'datarun:open-submission',
  cancel = 'datarun:cancel',
  rerun = 'datarun:rerun',
  rerunFailed = 'datarun:rerun-failed',
  raisePriority = 'datarun:raise-priority',
  copyPython = 'datarun:copy-python',
  deleteSubmission = 'datarun:delete-submission',
  downloadNpz = 'datarun:download-npz',
  downloadCsv = 'datarun:download-csv'
}
