/**
 * ONNX Runtime's published builds gather usage events in the user's cache folder and mean to send them to their makers,
 * unless this variable is there before the library is loaded. A server of ours sends nothing anywhere; whoever wants the
 * events sets the variable to 0.
 */
process.env.ORT_DISABLE_TELEMETRY ??= '1';
