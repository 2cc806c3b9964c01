import { Type } from 'typebox';
import { call, orNull } from './call.ts';

const Limit = orNull(Type.Integer(), { description: 'null for no limit' });

export const getResourceTypes = call({
  path: 'metaconfig/get_resource_types',
  http: 'GET',
  panda: true,
  summary: "PanDA's kinds of jobs by their needs: one core, or several.",
  parameters: Type.Object({}),
  answer: Type.Array(
    Type.Object({
      resource_name: Type.String({ examples: ['SCORE'] }),
      mincore: Limit,
      maxcore: Limit,
      minrampercore: Limit,
      maxrampercore: Limit,
    }),
  ),
});
