// ONNX Runtime, through which all of the server reaches it. The order of these two lines matters.
import './no_telemetry.ts';

export { env, InferenceSession, listSupportedBackends, Tensor } from 'onnxruntime-node';
