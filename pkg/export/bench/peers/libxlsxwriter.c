/*
 * Writes the bench's rows with libxlsxwriter in its constant-memory mode, as its documentation shows it, and prints what
 * that took. The rows are those of row.fill in Go, from the same generator.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <xlsxwriter.h>

#define LEN(a) ((int)(sizeof(a) / sizeof(a[0])))

static const char *labels[] = {"待审批", "已通过", "已拒绝"};
static const char *departments[] = {"市场部", "销售部", "研发部", "采购部", "人力资源部", "财务部", "客户服务部", "总经理办公室"};
static const char *positions[] = {"经理", "总监", "工程师", "专员", "主管", "助理", "总经理", "采购员", "顾问", "其他"};
static const char *cities[] = {"北京", "上海", "广州", "深圳", "杭州", "成都", "武汉", "南京", "西安", "重庆"};
static const char *trades[] = {"科技", "贸易", "物流", "电子", "食品", "建材", "医药", "传媒", "教育", "机械"};
static const char *topics[] = {"邀请参加春季展览会", "希望了解新产品", "需要安排参观", "客户要求补发资料", "已电话确认出席", "等待主管审核"};
static const char *reasons[] = {"请尽快回复", "时间待定", "随行三人", "需要开具发票", "首次参展", "由同事代为登记", "资料已寄出"};
static const char *titles[] = {"ID", "时间", "状态", "说明", "手机号", "公司", "部门", "职位", "金额", "已读"};

static uint64_t state;

static int next(int n) {
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (int)((state >> 33) % (uint64_t)n);
}

static double seconds(struct timeval t) { return (double)t.tv_sec + (double)t.tv_usec / 1e6; }

/* The most memory this process has had, in bytes, as the system counts it. */
static long long peak(const struct rusage *used) {
	char line[256];
	long long kb = used->ru_maxrss;
	FILE *f = fopen("/proc/self/status", "r");
	if (f == NULL) return kb << 10;
	while (fgets(line, sizeof line, f) != NULL) sscanf(line, "VmHWM: %lld", &kb);
	fclose(f);
	return kb << 10;
}

static void check(lxw_error err) {
	if (err == LXW_NO_ERROR) return;
	fprintf(stderr, "libxlsxwriter: %s\n", lxw_strerror(err));
	exit(1);
}

int main(int argc, char **argv) {
	long rows = argc > 1 ? atol(argv[1]) : 0;
	/* Beside the program, which stands in a folder of its own. */
	char path[4096], text[256];
	int length = snprintf(path, sizeof path, "%s.xlsx", argv[0]);
	if (rows < 1 || length < 0 || length >= (int)sizeof path) return 2;

	struct timespec start, end;
	clock_gettime(CLOCK_MONOTONIC, &start);
	lxw_workbook_options options = {.constant_memory = LXW_TRUE};
	lxw_workbook *book = workbook_new_opt(path, &options);
	lxw_format *bold = workbook_add_format(book), *date = workbook_add_format(book), *money = workbook_add_format(book);
	format_set_bold(bold);
	format_set_num_format(date, "yyyy-mm-dd hh:mm:ss");
	format_set_num_format(money, "0.00");
	lxw_worksheet *sheet = NULL;
	lxw_row_t at = LXW_ROW_MAX;
	for (long i = 0; i < rows; i++, at++) {
		if (at == LXW_ROW_MAX) {
			sheet = workbook_add_worksheet(book, NULL);
			worksheet_freeze_panes(sheet, 1, 0);
			for (int c = 0; c < LEN(titles); c++) check(worksheet_write_string(sheet, 0, (lxw_col_t)c, titles[c], bold));
			at = 1;
		}
		state = (uint64_t)i * 0x9E3779B97F4A7C15u + 0xD1B54A32D192ED03u;
		for (int k = 0; k < 3; k++) next(2);
		check(worksheet_write_number(sheet, at, 0, (double)(i + 1), NULL));
		/* 2025-01-01 is day 45658 */
		check(worksheet_write_number(sheet, at, 1, 45658 + (double)(i * 27 + next(20)) / 86400, date));
		check(worksheet_write_string(sheet, at, 2, labels[next(LEN(labels))], NULL));
		const char *topic = topics[next(LEN(topics))], *reason = reasons[next(LEN(reasons))];
		snprintf(text, sizeof text, "%s,%s,编号%d", topic, reason, next(100000));
		check(worksheet_write_string(sheet, at, 3, text, NULL));
		snprintf(text, sizeof text, "1%" PRId64, INT64_C(3000000000) + (int64_t)next(1 << 30) * 6);
		check(worksheet_write_string(sheet, at, 4, text, NULL));
		const char *city = cities[next(LEN(cities))], *trade = trades[next(LEN(trades))];
		snprintf(text, sizeof text, "%s%s%d有限公司", city, trade, 100 + next(40));
		check(worksheet_write_string(sheet, at, 5, text, NULL));
		check(worksheet_write_string(sheet, at, 6, departments[next(LEN(departments))], NULL));
		check(worksheet_write_string(sheet, at, 7, positions[next(LEN(positions))], NULL));
		check(worksheet_write_number(sheet, at, 8, next(10000000) / 100.0, money));
		check(worksheet_write_string(sheet, at, 9, next(2) == 1 ? "是" : "否", NULL));
	}
	check(workbook_close(book));
	clock_gettime(CLOCK_MONOTONIC, &end);

	struct rusage used;
	struct stat file;
	getrusage(RUSAGE_SELF, &used);
	if (stat(path, &file) != 0) return 1;
	printf("{\"CPU\": %f, \"Wall\": %f, \"Peak\": %lld, \"Size\": %lld}\n", seconds(used.ru_utime) + seconds(used.ru_stime),
		(double)(end.tv_sec - start.tv_sec) + (double)(end.tv_nsec - start.tv_nsec) / 1e9, peak(&used), (long long)file.st_size);
	if (argc > 2) return rename(path, argv[2]) != 0; /* somebody wants to look at it */
	unlink(path);
	return 0;
}
