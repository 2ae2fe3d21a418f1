/// The scenarios that ship, as their files are.
package enum Library {
  /// In the order in which they are worth looking at.
  package static let files: [(name: String, bytes: [UInt8])] = [
    ("steady", PackageResources.steady_json5),
    ("churn", PackageResources.churn_json5),
    ("mixed-capacity", PackageResources.mixed_capacity_json5),
    ("flash-crowd", PackageResources.flash_crowd_json5),
    ("mass-crash", PackageResources.mass_crash_json5),
    ("partition", PackageResources.partition_json5),
    ("thin-source", PackageResources.thin_source_json5),
    ("lossy", PackageResources.lossy_json5),
    ("long-fat", PackageResources.long_fat_json5),
    ("liars", PackageResources.liars_json5),
    ("diurnal", PackageResources.diurnal_json5),
    ("live-sessions", PackageResources.live_sessions_json5),
    ("swap", PackageResources.swap_json5),
  ]

  package static var names: [String] { files.map(\.name) }

  /// A scenario's file, with its comments.
  package static func file(_ name: String) -> [UInt8]? { files.first { $0.name == name }?.bytes }

  /// A scenario as it was read.
  package static func scenario(_ name: String) throws(FileError) -> Scenario? {
    guard let bytes = file(name) else { return nil }
    return try Scenario(bytes, file: name)
  }
}
