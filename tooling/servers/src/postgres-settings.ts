/**
 * Settings for one node's log: what is acknowledged is on disk (the first three), memory is small because several nodes share a
 * development machine, and nothing is prepared for Postgres' own replication, which Synod replaces.
 */
export const postgresSettings: Readonly<Record<string, string>> = {
  fsync: 'on',
  synchronous_commit: 'on',
  full_page_writes: 'on',
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '', // a socket's path has a limit of 107 bytes, and loopback is enough
  shared_buffers: '128MB',
  wal_buffers: '16MB',
  max_wal_size: '2GB',
  min_wal_size: '256MB',
  checkpoint_timeout: '15min',
  max_connections: '50',
  jit: 'off',
  wal_level: 'minimal',
  max_wal_senders: '0',
  max_parallel_workers_per_gather: '0', // parallel workers want /dev/shm, which containers keep small
  timezone: 'UTC',
  log_timezone: 'UTC',
  log_line_prefix: '%m [%p] ',
}
