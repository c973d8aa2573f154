package database

import (
	"errors"
	"strings"

	"github.com/go-sql-driver/mysql"
)

// mysqlCodes are error numbers of MySQL (https://dev.mysql.com/doc/mysql-errors/8.4/en/) and
// MariaDB (https://mariadb.com/kb/en/mariadb-error-code-reference/). Up to about 1900 both mean the
// same by a number. Above, each has its own; where one number has two meanings, the other server's
// is of a statement that no module sends, and is named in the comment.
//
// Numbers below 1000 are of the layer beneath the server, such as 20, "Disk is full writing".
var mysqlCodes = map[uint16]meaning{
	1020: conflict, // ER_CHECKREAD: the row changed since the snapshot
	1205: conflict, // ER_LOCK_WAIT_TIMEOUT
	1213: conflict, // ER_LOCK_DEADLOCK; also a failed certification of Galera
	1412: conflict, // ER_TABLE_DEF_CHANGED: the table changed since the snapshot
	1613: conflict, // ER_XA_RBTIMEOUT
	1614: conflict, // ER_XA_RBDEADLOCK
	1615: conflict, // ER_NEED_REPREPARE
	1689: conflict, // ER_LOCK_ABORTED: a change of the schema came first
	3058: conflict, // ER_USER_LOCK_DEADLOCK
	3101: conflict, // ER_TRANSACTION_ROLLBACK_DURING_COMMIT: group replication
	3197: conflict, // ER_XA_RETRY
	3572: conflict, // ER_LOCK_NOWAIT

	5:    exhausted, // EE_OUTOFMEMORY
	23:   exhausted, // EE_OUT_OF_FILERESOURCES
	1028: exhausted, // ER_FILSORT_ABORT: a sort that was interrupted
	1037: exhausted, // ER_OUTOFMEMORY
	1038: exhausted, // ER_OUT_OF_SORTMEMORY
	1040: exhausted, // ER_CON_COUNT_ERROR: too many connections
	1041: exhausted, // ER_OUT_OF_RESOURCES
	1135: exhausted, // ER_CANT_CREATE_THREAD
	1203: exhausted, // ER_TOO_MANY_USER_CONNECTIONS
	1206: exhausted, // ER_LOCK_TABLE_FULL
	1226: exhausted, // ER_USER_LIMIT_REACHED
	1297: exhausted, // ER_GET_TEMPORARY_ERRMSG
	1317: exhausted, // ER_QUERY_INTERRUPTED: by an operator, or the time limit of older servers
	1637: exhausted, // ER_TOO_MANY_CONCURRENT_TRXS
	1969: exhausted, // ER_STATEMENT_TIMEOUT of MariaDB
	3015: exhausted, // ER_ENGINE_OUT_OF_MEMORY
	3024: exhausted, // ER_QUERY_TIMEOUT of MySQL
	3044: exhausted, // ER_STD_BAD_ALLOC_ERROR
	3985: exhausted, // ER_MDL_OUT_OF_RESOURCES
	// ER_DA_GLOBAL_CONN_LIMIT: memory of all connections (MariaDB: SET of a variable)
	4081: exhausted,
	4082: exhausted, // ER_DA_CONN_LIMIT: memory of one connection (MariaDB: a row variable)

	1042: unreachable, // ER_BAD_HOST_ERROR
	1043: unreachable, // ER_HANDSHAKE_ERROR
	1047: unreachable, // ER_UNKNOWN_COM_ERROR: how Galera says that a node is not ready
	1053: unreachable, // ER_SERVER_SHUTDOWN
	1077: unreachable, // ER_NORMAL_SHUTDOWN
	1078: unreachable, // ER_GOT_SIGNAL
	1079: unreachable, // ER_SHUTDOWN_COMPLETE
	1080: unreachable, // ER_FORCING_CLOSE
	1129: unreachable, // ER_HOST_IS_BLOCKED: after too many broken connections
	1152: unreachable, // ER_ABORTING_CONNECTION
	1154: unreachable, // ER_NET_READ_ERROR_FROM_PIPE
	1155: unreachable, // ER_NET_FCNTL_ERROR
	1156: unreachable, // ER_NET_PACKETS_OUT_OF_ORDER
	1157: unreachable, // ER_NET_UNCOMPRESS_ERROR
	1158: unreachable, // ER_NET_READ_ERROR
	1159: unreachable, // ER_NET_READ_INTERRUPTED
	1160: unreachable, // ER_NET_ERROR_ON_WRITE
	1161: unreachable, // ER_NET_WRITE_INTERRUPTED
	1184: unreachable, // ER_NEW_ABORTING_CONNECTION
	1835: unreachable, // ER_MALFORMED_PACKET
	1927: unreachable, // ER_CONNECTION_KILLED of MariaDB
	3032: unreachable, // ER_SERVER_OFFLINE_MODE
	3168: unreachable, // ER_SERVER_ISNT_AVAILABLE: it starts, or is not ready yet
	3169: unreachable, // ER_SESSION_WAS_KILLED of MySQL
	3781: unreachable, // ER_GR_HOLD_WAIT_TIMEOUT: a member of group replication catches up
	3782: unreachable, // ER_GR_HOLD_KILLED
	3783: unreachable, // ER_GR_HOLD_MEMBER_STATUS_ERROR
	3797: unreachable, // ER_GRP_TRX_CONSISTENCY_BEFORE
	3798: unreachable, // ER_GRP_TRX_CONSISTENCY_AFTER_ON_TRX_BEGIN
	4031: unreachable, // ER_CLIENT_INTERACTION_TIMEOUT (MariaDB: a trigger that does not exist)

	1180: unknown, // ER_ERROR_DURING_COMMIT: the engine's error, which may be of either half
	3796: unknown, // ER_GRP_TRX_CONSISTENCY_NOT_ALLOWED
	3100: unknown, // ER_RUN_HOOK_ERROR: replication refused, or did not answer

	3:    unwritable, // EE_WRITE
	20:   unwritable, // EE_DISK_FULL
	35:   unwritable, // EE_DISK_FULL_WITH_RETRY_MSG
	1021: unwritable, // ER_DISK_FULL
	1026: unwritable, // ER_ERROR_ON_WRITE
	1114: unwritable, // ER_RECORD_FILE_FULL: also InnoDB without room on the disk
	1878: unwritable, // ER_TEMP_FILE_WRITE_FAILURE
	3019: unwritable, // ER_INNODB_UNDO_LOG_FULL
	3675: unwritable, // ER_DISK_FULL_NOWAIT
	4139: unwritable, // ER_INDEX_FILE_FULL of MariaDB (MySQL: a bulk load)

	1036: readOnly, // ER_OPEN_AS_READONLY
	1223: readOnly, // ER_CANT_UPDATE_WITH_READLOCK: a backup holds the global lock
	1290: readOnly, // ER_OPTION_PREVENTS_STATEMENT: --read-only, a primary that has stepped down
	1792: readOnly, // ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION: the server's default, outside Read
	1836: readOnly, // ER_READ_ONLY_MODE
	1874: readOnly, // ER_INNODB_READ_ONLY
	3989: readOnly, // ER_SCHEMA_READ_ONLY
}

func mysqlMeaning(err error, code uint16) meaning {
	if code == 1030 { // ER_GET_ERRNO: any error of the storage engine, by the system's number
		var e *mysql.MySQLError
		if errors.As(err, &e) && strings.Contains(e.Message, "error 28 ") { // ENOSPC
			return unwritable
		}
		return faulty
	}
	return mysqlCodes[code]
}
