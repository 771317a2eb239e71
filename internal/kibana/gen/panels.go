package main

const (
	dataViewID  = "recsys-benthos-predictions"
	dashboardID = "recsys-benthos"
	searchID    = "recsys-benthos-user-predictions"

	// rated are predictions whose rating came with the request and is new to the model.
	rated = "actual: * and not late: true"

	// The mean of squares is the square of the mean and the variance: no script is needed.
	rmseFormula = "sqrt(pow(average(absolute_error), 2) + pow(standard_deviation(absolute_error), 2))"
	// The same among all documents.
	rmseOfRatedFormula = "sqrt(pow(average(absolute_error, kql='" + rated + "'), 2) + pow(standard_deviation(absolute_error, kql='" + rated + "'), 2))"

	coldFormula = "count(kql='cold: *') / count()"
)

// savedObjects is everything, each after what it refers to.
func savedObjects() ([]savedObject, error) {
	panels, err := panels()
	if err != nil {
		return nil, err
	}
	objects := []savedObject{dataView()}
	for _, p := range panels {
		objects = append(objects, p.object())
	}
	search := panel{id: searchID, x: 0, y: 60, w: 48, h: 16}
	return append(objects, userPredictions(), dashboard(append(panels, search))), nil
}

func dataView() savedObject {
	plain := fields{"id": "number", "params": fields{"pattern": "0"}} // an id, not a quantity
	stars := fields{"id": "number", "params": fields{"pattern": "0.000"}}
	return savedObject{
		ID: dataViewID, Type: "index-pattern", Core: coreVersion, TypeVersion: dataViewVersion, References: []reference{},
		Attributes: fields{
			"title": "predictions-*", "name": "recsys-benthos: predictions", "timeFieldName": "predicted_at",
			"fields": "[]", "fieldAttrs": "{}", "runtimeFieldMap": "{}", "sourceFilters": "[]", "typeMeta": "{}",
			"fieldFormatMap": text(fields{"user_id": plain, "movie_id": plain, "prediction": stars, "absolute_error": stars}),
		},
	}
}

// panels are the panels of the original dashboard (ratings, genres by time, genres,
// movies; the table is a search), then those on models and errors.
func panels() ([]panel, error) {
	predictions := countColumn("predictions", "Predictions", "")
	mean := metricColumn("mean", "Mean predicted rating", "average", "prediction", "")
	mae := metricColumn("mae", "Mean absolute error", "average", "absolute_error", "")
	versions := termsColumn("version", "Model version", "model_version", 10, nil)
	genres := termsColumn("genre", "Genre", "genres", 20, nil)
	rmse, err := formulaColumn("rmse", "RMSE", rmseFormula, "number")
	if err != nil {
		return nil, err
	}
	cold, err := formulaColumn("cold", "Share of predictions with a user or movie unknown to the model", coldFormula, "percent")
	if err != nil {
		return nil, err
	}
	models, err := modelsTable(predictions)
	if err != nil {
		return nil, err
	}
	return []panel{
		{
			id: "recsys-benthos-rating-by-time", title: "Predicted rating by time and model version", kind: "lnsXY", x: 0, y: 0, w: 24, h: 15,
			columns: []column{versions, timeColumn(), mean}, visualization: xy("line", "time", "version", "mean"),
		},
		{
			id: "recsys-benthos-genres-by-time", title: "Attraction of genres by time", kind: "lnsHeatmap", x: 24, y: 0, w: 24, h: 15,
			description: "The mean predicted rating of each genre's movies.",
			columns:     []column{genres, timeColumn(), mean}, visualization: heatmap("time", "genre", "mean"),
		},
		{
			id: "recsys-benthos-genres", title: "Genres", kind: "lnsPie", x: 0, y: 15, w: 16, h: 15,
			description: "A movie of several genres counts for each.",
			columns:     []column{termsColumn("genre", "Genre", "genres", 20, &predictions), predictions}, visualization: donut("genre", "predictions"),
		},
		{
			id: "recsys-benthos-movies", title: "Movies most asked for", kind: "lnsTagcloud", x: 16, y: 15, w: 16, h: 15,
			columns:       []column{termsColumn("movie", "Movie", "title.keyword", 40, &predictions), predictions},
			visualization: fields{"layerId": dataLayer, "layerType": "data", "tagAccessor": "movie", "valueAccessor": "predictions", "minFontSize": 12, "maxFontSize": 48, "orientation": "single", "showLabel": false},
		},
		{
			id: "recsys-benthos-movies-rating", title: "Predicted rating of the movies most asked for", kind: "lnsXY", x: 32, y: 15, w: 16, h: 15,
			columns: []column{termsColumn("movie", "Movie", "title.keyword", 15, nil), mean}, visualization: xy("bar_horizontal", "movie", "", "mean"),
		},
		models,
		{
			id: "recsys-benthos-error", title: "Error by time", kind: "lnsXY", query: rated, x: 24, y: 30, w: 24, h: 15,
			description: "Of predictions whose rating came with the request and is new to the model.",
			columns:     []column{timeColumn(), mae, rmse}, visualization: xy("line", "time", "", "mae", "rmse"),
		},
		{
			id: "recsys-benthos-count", title: "Predictions by time and model version", kind: "lnsXY", x: 0, y: 45, w: 24, h: 15,
			columns: []column{versions, timeColumn(), predictions}, visualization: xy("bar_stacked", "time", "version", "predictions"),
		},
		{
			id: "recsys-benthos-cold", title: "Cold predictions by time", kind: "lnsXY", x: 24, y: 45, w: 24, h: 15,
			description: "Users and movies that the model does not know are predicted by averages.",
			columns:     []column{timeColumn(), cold}, visualization: xy("area", "time", "", "cold"),
		},
	}, nil
}

func modelsTable(predictions column) (panel, error) {
	rmse, err := formulaColumn("rmse", "RMSE", rmseOfRatedFormula, "number")
	if err != nil {
		return panel{}, err
	}
	columns := []column{
		termsColumn("version", "Model version", "model_version", 20, &predictions), predictions,
		metricColumn("mean", "Mean predicted rating", "average", "prediction", ""),
		countColumn("rated", "With a new rating", rated),
		metricColumn("mae", "Mean absolute error", "average", "absolute_error", rated),
		rmse,
	}
	shown := []any{}
	for _, c := range columns {
		shown = append(shown, fields{"columnId": c.id, "isTransposed": false})
	}
	return panel{
		id: "recsys-benthos-models", title: "Model versions", kind: "lnsDatatable", x: 0, y: 30, w: 24, h: 15,
		description: "Errors are of predictions whose rating came with the request and is new to the model.",
		columns:     columns, visualization: fields{"layerId": dataLayer, "layerType": "data", "columns": shown},
	}, nil
}

func xy(series, x, split string, values ...string) fields {
	layer := fields{"layerId": dataLayer, "layerType": "data", "seriesType": series, "xAccessor": x, "accessors": values, "position": "top", "showGridlines": false}
	if split != "" {
		layer["splitAccessor"] = split
	}
	shown := fields{"x": true, "yLeft": true, "yRight": true}
	return fields{
		"layers": []any{layer}, "preferredSeriesType": series, "legend": fields{"isVisible": true, "position": "right"}, "valueLabels": "hide",
		"fittingFunction": "Linear", "axisTitlesVisibilitySettings": shown, "tickLabelsVisibilitySettings": shown, "gridlinesVisibilitySettings": shown,
		"labelsOrientation": fields{"x": 0, "yLeft": 0, "yRight": 0},
	}
}

func heatmap(x, y, value string) fields {
	return fields{
		"layerId": dataLayer, "layerType": "data", "shape": "heatmap", "xAccessor": x, "yAccessor": y, "valueAccessor": value,
		"legend": fields{"isVisible": true, "position": "right", "type": "heatmap_legend"},
		"gridConfig": fields{
			"type": "heatmap_grid", "isCellLabelVisible": false, "isXAxisLabelVisible": true, "isXAxisTitleVisible": false,
			"isYAxisLabelVisible": true, "isYAxisTitleVisible": false,
		},
	}
}

func donut(group, metric string) fields {
	return fields{"shape": "donut", "layers": []any{fields{
		"layerId": dataLayer, "layerType": "data", "primaryGroups": []string{group}, "metrics": []string{metric},
		"numberDisplay": "percent", "categoryDisplay": "default", "legendDisplay": "default", "nestedLegend": false,
	}}}
}

// userPredictions is the table of the newest predictions, for Discover.
func userPredictions() savedObject {
	index := "kibanaSavedObjectMeta.searchSourceJSON.index"
	return savedObject{
		ID: searchID, Type: "search", Core: coreVersion, TypeVersion: searchVersion,
		References: []reference{{ID: dataViewID, Name: index, Type: "index-pattern"}},
		Attributes: fields{
			"title": "Predictions of users", "description": "", "columns": []string{"user_id", "title", "prediction", "actual", "absolute_error", "model_version"},
			"sort": [][]string{{"predicted_at", "desc"}}, "grid": fields{}, "hideChart": true, "isTextBasedQuery": false, "timeRestore": false,
			"kibanaSavedObjectMeta": fields{"searchSourceJSON": text(fields{
				"query": kuery(""), "filter": []any{}, "highlightAll": true, "version": true, "indexRefName": index,
			})},
		},
	}
}

func dashboard(panels []panel) savedObject {
	placed, references := []fields{}, []reference{}
	for _, p := range panels {
		kind := "lens"
		if p.id == searchID {
			kind = "search"
		}
		name := "panel_" + p.id
		references = append(references, reference{ID: p.id, Name: p.id + ":" + name, Type: kind})
		placed = append(placed, fields{
			"type": kind, "version": dashboardVersion, "panelIndex": p.id, "panelRefName": name, "embeddableConfig": fields{"enhancements": fields{}},
			"gridData": fields{"x": p.x, "y": p.y, "w": p.w, "h": p.h, "i": p.id},
		})
	}
	return savedObject{
		ID: dashboardID, Type: "dashboard", Core: coreVersion, TypeVersion: dashboardVersion, References: references,
		Attributes: fields{
			"title": "Movie recommender", "description": "What recsys-benthos predicts, by which model, and how well.", "version": 1,
			"timeRestore": true, "timeFrom": "now-24h", "timeTo": "now", "refreshInterval": fields{"pause": false, "value": 10000},
			"optionsJSON": text(fields{"useMargins": true, "syncColors": true, "syncCursor": true, "syncTooltips": false, "hidePanelTitles": false}),
			"panelsJSON":  text(placed),
			"kibanaSavedObjectMeta": fields{"searchSourceJSON": text(fields{
				"query": kuery(""), "filter": []any{},
			})},
		},
	}
}
