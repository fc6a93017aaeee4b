/** A configuration that cannot be used. The message names the file and the key, and says what is allowed. */
export class ConfigError extends Error {
  readonly code: 'config_unreadable' | 'config_invalid' | 'package_not_found' | 'package_export_missing' | 'package_failed'
  constructor(code: ConfigError['code'], message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'ConfigError'
    this.code = code
  }
}
