package import PluginKit

/// What `freshet plugins` prints.
package enum PluginList {
  /// One plugin as it was loaded.
  package struct Row {
    var kind: String
    var manifest: Manifest
    var generation: UInt32
    var path: String

    package init(kind: String, manifest: Manifest, generation: UInt32, path: String) {
      self.kind = kind
      self.manifest = manifest
      self.generation = generation
      self.path = path
    }
  }

  package static func text(_ rows: [Row]) -> String {
    let kinds = ["topology", "transport", "discovery"]
    let sorted = rows.sorted { left, right in
      let places = (kinds.firstIndex(of: left.kind) ?? 3, kinds.firstIndex(of: right.kind) ?? 3)
      return (places.0, left.manifest.name) < (places.1, right.manifest.name)
    }
    return sorted.map(text).joined(separator: "\n")
  }

  private static func text(_ row: Row) -> String {
    var text =
      "\(row.kind) \(row.manifest.name) \(row.manifest.version)  (plugin interface \(row.generation))\n"
    text += "  \(row.manifest.summary)\n"
    let names = row.manifest.parameters.map { "\($0.name)=\($0.defaultText)" }
    let ranges = row.manifest.parameters.map(\.rangeText)
    let widths = (names.map(\.count).max() ?? 0, ranges.map(\.count).max() ?? 0)
    for (index, parameter) in row.manifest.parameters.enumerated() {
      text +=
        "    " + pad(names[index], widths.0) + "  " + pad(ranges[index], widths.1)
        + "  \(parameter.summary)\n"
    }
    return text + "  \(row.path)\n"
  }

  private static func pad(_ text: String, _ width: Int) -> String {
    text + String(repeating: " ", count: max(0, width - text.count))
  }
}
