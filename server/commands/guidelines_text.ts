import type { Guidelines } from '../../models/graph/guidelines.ts';
import { BALANCE_LIMIT, ELEMENT_WISE_LIMIT, FRAGMENT_LIMIT } from '../../models/graph/guidelines.ts';

const percent = (share: number) => `${(100 * share).toFixed(1)} %`;

/** How a network stands to ShuffleNetV2's guidelines, in words; every layer or block that breaks one is named. */
export function guidelinesText(report: Guidelines): string {
  const { channelBalance: balance, groupConvolution: groups, fragmentation, elementWise } = report;
  return [
    "ShuffleNetV2's guidelines (arXiv 1807.11164, section 2)",
    '',
    `G1 channel balance: the ${balance.pointwiseLayers} pointwise layers move ${balance.excess.toFixed(3)} times what layers of as many MAdds with equal channels would`,
    ...breaking(
      `channels differ by more than ${BALANCE_LIMIT}:1`,
      balance.breaking.map(
        ({ layer, inChannels, outChannels, memoryAccess, lowerBound }) =>
          `${layer}  ${inChannels} -> ${outChannels}, ${(memoryAccess / lowerBound).toFixed(3)} times`,
      ),
    ),
    `G2 group convolution: ${percent(groups.grouped.madds)} of the MAdds and ${percent(groups.grouped.memoryAccess)} of the memory access in ${groups.grouped.layers} layers; depthwise beside it ${percent(groups.depthwise.madds)} and ${percent(groups.depthwise.memoryAccess)} in ${groups.depthwise.layers}`,
    ...breaking(
      'more than one group',
      groups.breaking.map(
        ({ layer, groups: count, excess }) =>
          `${layer}  ${count} groups, ${excess.toFixed(3)} times what one group moves`,
      ),
    ),
    `G3 fragmentation: ${fragmentation.meanOperators.toFixed(1)} operators a block in ${fragmentation.blocks} blocks${
      fragmentation.most
        ? `; most in ${fragmentation.most.block}: ${fragmentation.most.operators}, ${fragmentation.most.branches} side by side`
        : ''
    }`,
    ...breaking(
      `more than ${FRAGMENT_LIMIT.operators} operators or ${FRAGMENT_LIMIT.branches} branches`,
      fragmentation.breaking.map(
        ({ block, operators, branches }) => `${block}  ${operators} operators, ${branches} side by side`,
      ),
    ),
    `G4 element-wise operators: ${percent(elementWise.share)} of the memory access, ${percent(elementWise.shareFused)} where activation functions run inside convolutions`,
    ...breaking(
      `${percent(ELEMENT_WISE_LIMIT)} of the memory access or more, activation functions fused`,
      elementWise.breaking.map(({ layer, op, share }) => `${layer}  ${op}, ${percent(share)}`),
    ),
  ].join('\n');
}

function breaking(rule: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : [`   ${rule}:`, ...lines.map((line) => `     ${line}`)];
}
