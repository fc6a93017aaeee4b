/** What went wrong with a server that Synod starts; the message says what to do next. */
export type ServerErrorCode =
  | 'binaries_missing'
  | 'data_folder_unreachable'
  | 'data_folder_in_use'
  | 'data_folder_foreign'
  | 'server_did_not_start'
  | 'server_did_not_stop'
  | 'nats_not_found'
  | 'etcd_not_found'
  | 'chromium_not_found'

export class ServerError extends Error {
  override readonly name = 'ServerError'
  readonly code: ServerErrorCode

  constructor(code: ServerErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}
