export { freePort } from '../bench/support/free_port.ts';
