# Writes rows of the same kinds as the bench's with XlsxWriter in its constant-memory mode, as its documentation shows
# it. The rows are not the same ones, but as long and as varied.
import datetime, json, os, random, resource, sys, tempfile, time
import xlsxwriter
rows = int(sys.argv[1])
rng = random.Random(1)
topics = ["邀请参加春季展览会", "希望了解新产品", "需要安排参观", "客户要求补发资料", "已电话确认出席", "等待主管审核"]
reasons = ["请尽快回复", "时间待定", "随行三人", "需要开具发票", "首次参展", "由同事代为登记", "资料已寄出"]
departments = ["市场部", "销售部", "研发部", "采购部", "人力资源部", "财务部", "客户服务部", "总经理办公室"]
positions = ["经理", "总监", "工程师", "专员", "主管", "助理", "总经理", "采购员", "顾问", "其他"]
titles = ["ID", "时间", "状态", "说明", "手机号", "公司", "部门", "职位", "金额", "已读"]
path = tempfile.mktemp(suffix=".xlsx")
start = time.time()
book = xlsxwriter.Workbook(path, {"constant_memory": True})
bold, date, money = book.add_format({"bold": True}), book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"}), book.add_format({"num_format": "0.00"})
at, sheet = 1 << 20, None
for i in range(rows):
    if at == 1 << 20:
        sheet, at = book.add_worksheet(), 1
        sheet.freeze_panes(1, 0)
        for c, title in enumerate(titles):
            sheet.write_string(0, c, title, bold)
    sheet.write_number(at, 0, i + 1)
    sheet.write_datetime(at, 1, datetime.datetime(2025, 1, 1) + datetime.timedelta(seconds=27 * i + rng.randrange(20)), date)
    sheet.write_string(at, 2, rng.choice(["待审批", "已通过", "已拒绝"]))
    sheet.write_string(at, 3, "%s,%s,编号%d" % (rng.choice(topics), rng.choice(reasons), rng.randrange(100000)))
    sheet.write_string(at, 4, "1%010d" % (3000000000 + rng.randrange(1 << 30) * 6))
    sheet.write_string(at, 5, "%s%s%03d有限公司" % (rng.choice(["北京", "上海", "广州", "深圳", "杭州", "成都", "武汉", "南京", "西安", "重庆"]), rng.choice(["科技", "贸易", "物流", "电子", "食品", "建材", "医药", "传媒", "教育", "机械"]), rng.randrange(40)))
    sheet.write_string(at, 6, rng.choice(departments))
    sheet.write_string(at, 7, rng.choice(positions))
    sheet.write_number(at, 8, rng.randrange(10000000) / 100, money)
    sheet.write_string(at, 9, rng.choice(["是", "否"]))
    at += 1
book.close()
wall, used = time.time() - start, resource.getrusage(resource.RUSAGE_SELF)
peak = next(int(l.split()[1]) * 1024 for l in open("/proc/self/status") if l.startswith("VmHWM"))
print(json.dumps({"CPU": used.ru_utime + used.ru_stime, "Wall": wall, "Peak": peak, "Size": os.path.getsize(path)}))
os.remove(path)
