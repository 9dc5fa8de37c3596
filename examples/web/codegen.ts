import type { CodegenConfig } from '@graphql-codegen/cli';

export default {
	schema: '../../schema.graphqls',
	documents: 'src/*.tsx',
	generates: {
		'src/gql/': {
			preset: 'client',
			presetConfig: { fragmentMasking: false },
			config: { useTypeImports: true, enumsAsTypes: true, scalars: { Time: 'string', Scope: 'string' } },
		},
	},
} satisfies CodegenConfig;
