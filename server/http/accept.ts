import type { Request } from 'express';
import { orList } from '../../models/arguments.ts';
import { HttpProblem } from './problem.ts';
import { quote } from './query.ts';

export const JSON_TYPE = 'application/json';

/**
 * The type of the answer that the request's `Accept` header asks for.
 * @param offered what can be answered, by preference where the client has none
 * @param circumstance what that depends on, for the message, as in 'with overlay=true'
 * @throws HttpProblem `not_acceptable` where Accept leaves none
 */
export function acceptedType<Type extends string>(
  request: Request,
  offered: readonly Type[],
  circumstance = '',
): Type {
  const type = request.accepts([...offered]);
  if (type) return type as Type;
  throw new HttpProblem(
    'not_acceptable',
    `${circumstance && `${circumstance} `}this operation answers ${orList(offered)}, and Accept is ${quote(request.get('Accept') ?? '')}`,
  );
}

/** @throws HttpProblem `not_acceptable` where several images would be answered as one picture */
export function refuseBatchAs(type: string, batch: boolean): void {
  if (batch && type !== JSON_TYPE)
    throw new HttpProblem('not_acceptable', `a batch is answered as ${JSON_TYPE}, not as ${type}`);
}
