-- +goose Up
-- One row is one event told to one person. operate_id 0 is the system.
CREATE TABLE messages (
	id {{id}},
	event_key VARCHAR(100) NOT NULL,
	recipient_id BIGINT NOT NULL,
	operate_id BIGINT NOT NULL,
	plugin VARCHAR(40) NOT NULL,
	notice_type VARCHAR(8) NOT NULL,
	handle_status INTEGER NOT NULL,
	status INTEGER NOT NULL,
	head VARCHAR(200) NOT NULL,
	title VARCHAR(200) NOT NULL,
	content VARCHAR(1000) NOT NULL,
	project_name VARCHAR(200) NOT NULL,
	created_at BIGINT NOT NULL,
	read_at BIGINT,
	handled_at BIGINT
){{table}};
CREATE UNIQUE INDEX messages_once ON messages (event_key, recipient_id);
CREATE INDEX messages_by_status ON messages (recipient_id, status, id);
CREATE INDEX messages_by_handling ON messages (recipient_id, handle_status, id);

-- +goose Down
DROP TABLE messages;
