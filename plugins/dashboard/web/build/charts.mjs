// The parts of Apache ECharts that the live page draws with. Everything else of
// the library is left out of the bundle.
import * as core from 'echarts/core';
import { BarChart, HeatmapChart, LineChart, PieChart } from 'echarts/charts';
import { GridComponent, LegendComponent, TooltipComponent, VisualMapContinuousComponent, MarkLineComponent } from 'echarts/components';
import { CanvasRenderer } from 'echarts/renderers';

core.use([
  BarChart, CanvasRenderer, GridComponent, HeatmapChart, LegendComponent, LineChart, MarkLineComponent, PieChart,
  TooltipComponent, VisualMapContinuousComponent,
]);

export const init = core.init;
