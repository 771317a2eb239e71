package main

import (
	"encoding/hex"
	"fmt"
	"os"

	"github.com/CycloneDX/cyclonedx-go"
)

// writeSBOM writes a bill of materials. It has neither time nor serial number, so that
// equal sources give equal bytes.
func writeSBOM(path string, all []component) error {
	bom := cyclonedx.NewBOM()
	bom.Metadata = &cyclonedx.Metadata{Component: &cyclonedx.Component{
		BOMRef: "recsys-benthos", Type: cyclonedx.ComponentTypeApplication, Name: "recsys-benthos",
		Licenses: &cyclonedx.Licenses{{License: &cyclonedx.License{ID: "Apache-2.0"}}},
	}}
	components := []cyclonedx.Component{}
	needs := []string{}
	for _, c := range all {
		purl := fmt.Sprintf("pkg:%s/%s@%s", c.ecosystem, c.name, c.version)
		algorithm := cyclonedx.HashAlgoSHA256
		if c.ecosystem == "npm" {
			algorithm = cyclonedx.HashAlgoSHA512
		}
		licences := cyclonedx.Licenses{}
		for _, licence := range c.licences {
			licences = append(licences, cyclonedx.LicenseChoice{License: &cyclonedx.License{ID: licence}})
		}
		components = append(components, cyclonedx.Component{
			BOMRef: purl, Type: cyclonedx.ComponentTypeLibrary, Name: c.name, Version: c.version, PackageURL: purl, Licenses: &licences,
			Hashes: &[]cyclonedx.Hash{{Algorithm: algorithm, Value: hex.EncodeToString(c.sum)}},
		})
		needs = append(needs, purl)
	}
	bom.Components = &components
	bom.Dependencies = &[]cyclonedx.Dependency{{Ref: "recsys-benthos", Dependencies: &needs}}
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	encoder := cyclonedx.NewBOMEncoder(file, cyclonedx.BOMFileFormatJSON).SetPretty(true)
	if err := encoder.Encode(bom); err != nil {
		file.Close()
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return file.Close()
}
