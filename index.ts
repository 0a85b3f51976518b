/**
 * The networks of thinlens as a library: described once, and read as cost, as weights to load, as ONNX bytes to run, and what their
 * outputs mean. Bytes and data in, bytes and data out: nothing here reads files, decodes photos or runs a network.
 * docs/guides/library.md has an example.
 */

// Segmentation: from logits to class maps, their encodings, and how good they are.
export type { ClassMapOptions } from './heads/deeplabv3/class_map.ts';
export { classMap } from './heads/deeplabv3/class_map.ts';
export { confidenceMap } from './heads/deeplabv3/confidence.ts';
export type { Deeplabv3, Deeplabv3Options } from './heads/deeplabv3/graph.ts';
export { buildDeeplabv3 } from './heads/deeplabv3/graph.ts';
export type { GridMapping, Placement } from './heads/deeplabv3/grid_mapping.ts';
export { gridMapping } from './heads/deeplabv3/grid_mapping.ts';
export { alignedSide, fittedSize } from './heads/deeplabv3/input_size.ts';
export type { LogitMap } from './heads/deeplabv3/logits.ts';
export type { SegmentationEvaluation } from './heads/deeplabv3/mean_iou.ts';
export { ConfusionMatrix, VOID_LABEL } from './heads/deeplabv3/mean_iou.ts';
export { encodeGreyPng, encodeMaskPng, encodePalettePng } from './heads/deeplabv3/png.ts';
export type { Polygon, PolygonOptions } from './heads/deeplabv3/polygons.ts';
export { polygons } from './heads/deeplabv3/polygons.ts';
export type { Rle } from './heads/deeplabv3/rle.ts';
export { compressCounts, decodeRle, encodeRle, RleError, rleArea, rleBox } from './heads/deeplabv3/rle.ts';
export type { RowRuns } from './heads/deeplabv3/row_runs.ts';
export { rowRuns } from './heads/deeplabv3/row_runs.ts';
export type { Size } from './heads/deeplabv3/size.ts';
export type { ClassSummary } from './heads/deeplabv3/summary.ts';
export { summarizeClasses } from './heads/deeplabv3/summary.ts';
export { averageViews, commonGrid } from './heads/deeplabv3/views.ts';
export { VOC_COLORS } from './heads/deeplabv3/voc_colors.ts';
// A network, by name: backbone, head, width, size.
export type { HeadDefaults, HeadName, Model, ModelOptions } from './heads/model.ts';
export { buildModel, HEADS } from './heads/model.ts';
// Detection: from outputs to boxes, and how good they are.
export { ssdAnchors } from './heads/ssdlite/anchors.ts';
export { decodeBox } from './heads/ssdlite/box_coding.ts';
export type { CocoDetection } from './heads/ssdlite/coco/detections.ts';
export { evaluateDetections } from './heads/ssdlite/coco/evaluation.ts';
export type { CocoAnnotation, CocoImage } from './heads/ssdlite/coco/instances.ts';
export type { Detection, DetectionOptions } from './heads/ssdlite/detections.ts';
export { detections } from './heads/ssdlite/detections.ts';
export type { Ssdlite, SsdliteOptions } from './heads/ssdlite/graph.ts';
export { buildSsdlite } from './heads/ssdlite/graph.ts';
export { suppress } from './heads/ssdlite/nms.ts';
// What every function that is given the wrong thing throws.
export { ArgumentError } from './models/arguments.ts';
// Backbones, and the graphs that heads make of them.
export type { Backbone, BackboneOptions, Features, OutputStride } from './models/backbones/backbone.ts';
export type { Style } from './models/backbones/blocks.ts';
export type { ClassifierOptions } from './models/backbones/classifier.ts';
export { buildClassifier } from './models/backbones/classifier.ts';
export { backboneNamed, backbones, registerBackbone } from './models/backbones/registry.ts';
// Graphs.
export { GraphBuilder } from './models/graph/builder.ts';
export type { Cost, CostOptions, LayerCost } from './models/graph/cost.ts';
export { cost } from './models/graph/cost.ts';
export type { Graph, Node, Shape, Value } from './models/graph/graph.ts';
export { GraphError } from './models/graph/graph.ts';
export type { Guidelines } from './models/graph/guidelines.ts';
export { guidelines } from './models/graph/guidelines.ts';
export type { InputSize, NetworkInput, Normalization } from './models/graph/image_input.ts';
export { MINUS_ONE_TO_ONE } from './models/graph/image_input.ts';
// From a graph to what runs.
export type { LoweredGraph } from './models/graph/lowering.ts';
export { lower } from './models/graph/lowering.ts';
export type { OnnxOptions } from './models/graph/onnx/writer.ts';
export { toOnnx } from './models/graph/onnx/writer.ts';
export type { Parameter, ParameterRole } from './models/graph/parameters.ts';
export { parametersOf } from './models/graph/parameters.ts';
export type { Calibrated } from './models/graph/quantization/calibrated.ts';
export { CalibrationError } from './models/graph/quantization/calibrated.ts';
export { Calibration } from './models/graph/quantization/calibration.ts';
export type { RangeEstimator } from './models/graph/quantization/estimators.ts';
export { leastSquares, minMax, percentile } from './models/graph/quantization/estimators.ts';
export { toQuantizedOnnx } from './models/graph/quantization/onnx.ts';
export type { QuantizationPlan } from './models/graph/quantization/plan.ts';
export { planQuantization } from './models/graph/quantization/plan.ts';
export type { QuantizedNetwork } from './models/graph/quantization/quantize.ts';
export { quantize } from './models/graph/quantization/quantize.ts';
export type { Tensor, Weights } from './models/graph/tensor.ts';
export { tensor } from './models/graph/tensor.ts';
// Checkpoints.
export { readCheckpoint } from './models/weights/checkpoint.ts';
export { WeightsError } from './models/weights/errors.ts';
export { checkFit } from './models/weights/fit.ts';
export type { Candidate } from './models/weights/maps/maps.ts';
export { mapNamed, nameMaps, recognise } from './models/weights/maps/maps.ts';
export type { Mapped, MapTarget, NameMap } from './models/weights/maps/name_map.ts';
export { applyMap } from './models/weights/maps/name_map.ts';
export { readPth } from './models/weights/pth.ts';
export type { SafetensorsOptions } from './models/weights/safetensors.ts';
export { readSafetensors, writeSafetensors } from './models/weights/safetensors.ts';
export { readTfjsWeights, tfjsShards } from './models/weights/tfjs.ts';
