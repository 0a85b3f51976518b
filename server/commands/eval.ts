import { Command } from 'commander';
import { evalDetectionCommand } from './eval_detection.ts';
import { evalSegmentationCommand } from './eval_segmentation.ts';

/** `thinlens eval`: accuracy on a dataset, by the measures of its field. */
export function evalCommand(): Command {
  return new Command('eval')
    .description('Measure accuracy on a dataset.')
    .addCommand(evalDetectionCommand())
    .addCommand(evalSegmentationCommand());
}
