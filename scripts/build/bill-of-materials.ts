import { Builders, Factories } from '@cyclonedx/cyclonedx-library/Contrib/FromNodePackageJson';
import { Factories as LicenceFactories } from '@cyclonedx/cyclonedx-library/Contrib/License';
import { ComponentType } from '@cyclonedx/cyclonedx-library/Enums';
import { Bom, type Component } from '@cyclonedx/cyclonedx-library/Models';
import { JsonSerializer, JSON as Normalize } from '@cyclonedx/cyclonedx-library/Serialize';
import { Spec1dot6 } from '@cyclonedx/cyclonedx-library/Spec';
import { PackageURL } from 'packageurl-js';
import parseLicence from 'spdx-expression-parse';
import type { ShippedPackage } from './shipped-packages.ts';

const licences = new LicenceFactories.LicenseFactory(parseLicence);
const components = new Builders.ComponentBuilder(new Factories.ExternalReferenceFactory(), licences);

/**
 * The bill of materials (CycloneDX 1.6, JSON) of what is published: the packages that are in the bundles. The same packages give
 * the same text.
 *
 * @param product the package.json of this package
 */
export function billOfMaterials(
  product: Readonly<Record<string, unknown>>,
  packages: readonly ShippedPackage[],
): string {
  const bom = new Bom();
  const whole = componentOf(product, ComponentType.Application);
  bom.metadata.component = whole;
  // One that is installed in two places is one part.
  const parts = new Map(packages.map(({ name, version, manifest }) => [`${name}@${version}`, manifest]));
  for (const manifest of parts.values()) {
    const part = componentOf(manifest, ComponentType.Library);
    bom.components.add(part);
    whole.dependencies.add(part.bomRef);
  }
  const serializer = new JsonSerializer(new Normalize.Normalize.Factory(Spec1dot6));
  return `${serializer.serialize(bom, { sortLists: true, space: 2 })}\n`;
}

function componentOf(manifest: Readonly<Record<string, unknown>>, type: ComponentType): Component {
  const component = components.makeComponent(manifest, type);
  if (!component?.version) throw new Error(`${manifest['name']} names no version`);
  const { group, name, version } = component;
  component.purl = new PackageURL('npm', group, name, version).toString();
  component.bomRef.value = component.purl;
  return component;
}
