// Builds ../charts.js, copies the licences of what is in it, and copies axe-core to the tests of the page.
import { build } from 'esbuild';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';

const version = (name) => JSON.parse(readFileSync(`node_modules/${name}/package.json`)).version;

await build({
  entryPoints: ['charts.mjs'],
  outfile: '../charts.js',
  bundle: true,
  minify: true,
  format: 'iife',
  globalName: 'echarts',
  target: 'es2020',
  charset: 'utf8',
  legalComments: 'none',
  define: { 'process.env.NODE_ENV': '"production"' },
  banner: {
    js: `/* Apache ECharts ${version('echarts')} (Apache-2.0), zrender ${version('zrender')} (BSD-3-Clause), tslib (0BSD). See charts.LICENSE and charts.NOTICE. */`,
  },
});

copyFileSync('node_modules/echarts/LICENSE', '../charts.LICENSE');
writeFileSync('../charts.NOTICE', [
  readFileSync('node_modules/echarts/NOTICE', 'utf8').trim(),
  `charts.js also holds zrender ${version('zrender')}:\n\n${readFileSync('node_modules/zrender/LICENSE', 'utf8').trim()}`,
  `charts.js also holds helpers of tslib ${version('tslib')}:\n\n${readFileSync('node_modules/tslib/LICENSE.txt', 'utf8').trim()}`,
].join('\n\n-----\n\n') + '\n');

// axe-core looks for barriers in the page; only tests/browser has it.
const data = '../../../../tests/browser/testdata';
copyFileSync('node_modules/axe-core/axe.min.js', `${data}/axe.min.js`);
copyFileSync('node_modules/axe-core/LICENSE', `${data}/axe.LICENSE`);
